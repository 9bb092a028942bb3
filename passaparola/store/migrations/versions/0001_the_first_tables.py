"""the first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from passaparola.store.types import UtcDateTime

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
BigKey = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('activity',
    sa.Column('contact_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('first_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('latest_1', UtcDateTime(timezone=True), nullable=False),
    sa.Column('latest_2', UtcDateTime(timezone=True), nullable=True),
    sa.Column('latest_3', UtcDateTime(timezone=True), nullable=True),
    sa.Column('latest_4', UtcDateTime(timezone=True), nullable=True),
    sa.Column('latest_5', UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('contact_id', 'kind')
    )
    op.create_index('activity_recent', 'activity', ['kind', 'latest_1', 'latest_2', 'latest_3', 'latest_4', 'latest_5', 'count', 'contact_id'])
    op.create_table('audit',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('detail', Json, nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=True),
    sa.Column('link', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('number', name='audit_number')
    )
    op.create_index('audit_of_subject', 'audit', ['subject', 'id'])
    op.create_table('channel_backoff',
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('until', UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('channel')
    )
    op.create_table('channel_incident',
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('direction', sa.String(), nullable=False),
    sa.Column('since', UtcDateTime(timezone=True), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('notified_at', UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('channel', 'direction')
    )
    op.create_table('contact',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('first_name', sa.String(), nullable=True),
    sa.Column('last_name', sa.String(), nullable=True),
    sa.Column('language', sa.String(), nullable=True),
    sa.Column('country', sa.String(), nullable=True),
    sa.Column('city', sa.String(), nullable=True),
    sa.Column('time_zone', sa.String(), nullable=True),
    sa.Column('birthday', sa.String(), nullable=True),
    sa.Column('traits', Json, nullable=False),
    sa.Column('sources', Json, server_default='{}', nullable=False),
    sa.Column('max_per_week', sa.Integer(), nullable=True),
    sa.Column('paused_until', UtcDateTime(timezone=True), nullable=True),
    sa.Column('lifecycle', sa.String(), nullable=True),
    sa.Column('participation', sa.String(), nullable=True),
    sa.Column('created_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('erased_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('merged_into', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    if op.get_bind().dialect.name == 'postgresql':
        op.create_index('contact_alive', 'contact', ['id'], postgresql_include=['country', 'language', 'city', 'lifecycle', 'participation'], postgresql_where=sa.text('erased_at IS NULL AND merged_into IS NULL'))
    op.create_table('enrolment',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('launch_id', sa.BigInteger(), nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=True),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), nullable=True),
    sa.Column('holdout', sa.Boolean(), nullable=False),
    sa.Column('entered_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('waiting', sa.String(), nullable=True),
    sa.Column('since', UtcDateTime(timezone=True), nullable=True),
    sa.Column('goal_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.String(), nullable=True),
    sa.Column('ended_at', UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('contact_id', 'launch_id', 'key', name='enrolment_once')
    )
    op.create_index('enrolment_due', 'enrolment', ['launch_id', 'step', 'due_at'], postgresql_where=sa.text('outcome IS NULL'), sqlite_where=sa.text('outcome IS NULL'))
    op.create_index('enrolment_of_launch', 'enrolment', ['launch_id'])
    _create_event()
    op.create_table('event_name',
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('source_id', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('source', 'source_id'),
    sqlite_with_rowid=False
    )
    op.create_table('known_property',
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('type', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('kind', 'name', 'type')
    )
    op.create_table('launch',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('campaign', sa.String(), nullable=False),
    sa.Column('hash', sa.String(), nullable=False),
    sa.Column('wording', sa.String(), nullable=False),
    sa.Column('content', Json, nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('note', sa.String(), nullable=False),
    sa.Column('occurrence', sa.String(), nullable=True),
    sa.Column('accepting', sa.Boolean(), nullable=False),
    sa.Column('transactional', sa.Boolean(), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('late_after', sa.Integer(), nullable=True),
    sa.Column('created_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('events_cursor', UtcDateTime(timezone=True), nullable=True),
    sa.Column('events_from', UtcDateTime(timezone=True), nullable=True),
    sa.Column('finished_at', UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('occurrence')
    )
    op.create_index('launch_of_campaign', 'launch', ['campaign', 'id'])
    op.create_table('link_event',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('enrolment_id', sa.BigInteger(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('which', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('bot_reason', sa.String(), nullable=False),
    sa.Column('properties', Json, nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('message',
    sa.Column('enrolment_id', sa.BigInteger(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('batch_id', sa.BigInteger(), nullable=True),
    sa.Column('state', sa.String(), nullable=True),
    sa.Column('reason', sa.String(), nullable=True),
    sa.Column('receipt', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('enrolment_id', 'step', 'medium'),
    sqlite_with_rowid=False
    )
    op.create_index(op.f('ix_message_batch_id'), 'message', ['batch_id'])
    op.create_index('message_unknown', 'message', ['batch_id'], postgresql_where=sa.text("state = 'unknown'"), sqlite_where=sa.text("state = 'unknown'"))
    op.create_table('poll_cursor',
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('since', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('problem', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('source')
    )
    op.create_table('raw_body',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('received_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('headers', Json, nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('urgent', sa.Boolean(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('problem', sa.String(), nullable=False),
    sa.Column('applied_at', UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('source', 'key', name='raw_body_once')
    )
    op.create_index(op.f('ix_raw_body_received_at'), 'raw_body', ['received_at'])
    op.create_index('raw_body_new', 'raw_body', ['id'], postgresql_where=sa.text("state = 'new'"), sqlite_where=sa.text("state = 'new'"))
    op.create_index('raw_body_urgent', 'raw_body', ['id'], postgresql_where=sa.text('urgent'), sqlite_where=sa.text('urgent'))
    op.create_table('seal',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=False),
    sa.Column('link', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('staff',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('role', sa.String(), nullable=False),
    sa.Column('password', sa.String(), nullable=False),
    sa.Column('session_key', sa.String(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('created_at', UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('suppression',
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key')
    )
    op.create_table('trait',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('address',
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('value', sa.String(), nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=False),
    sa.Column('rank', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('verified_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('medium', 'value')
    )
    op.create_index('address_by_key', 'address', ['key'])
    op.create_index('address_of_contact', 'address', ['contact_id', 'medium', 'rank'])
    op.create_table('approval',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('launch_id', sa.BigInteger(), nullable=False),
    sa.Column('hash', sa.String(), nullable=False),
    sa.Column('approver', sa.String(), nullable=False),
    sa.Column('comment', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['launch_id'], ['launch.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_approval_launch_id'), 'approval', ['launch_id'])
    op.create_table('batch',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('launch_id', sa.BigInteger(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('locale', sa.String(), nullable=False),
    sa.Column('variant', sa.String(), nullable=False),
    sa.Column('wording', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('late_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('delayed', sa.String(), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('fence', sa.Integer(), nullable=False),
    sa.Column('claimed_by', sa.String(), nullable=False),
    sa.Column('claimed_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('finished_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['launch_id'], ['launch.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('launch_id', 'step', 'medium', 'locale', 'variant', 'number', name='batch_once')
    )
    op.create_index('batch_open', 'batch', ['state', 'due_at', 'id'], postgresql_where=sa.text("state IN ('queued', 'sending')"), sqlite_where=sa.text("state IN ('queued', 'sending')"))
    op.create_index('batch_unknown', 'batch', ['id'], postgresql_where=sa.text("state = 'unknown'"), sqlite_where=sa.text("state = 'unknown'"))
    op.create_index('batch_wording', 'batch', ['wording', 'launch_id'])
    op.create_table('consent',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=False),
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('topic', sa.String(), nullable=False),
    sa.Column('granted', sa.Boolean(), nullable=False),
    sa.Column('basis', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('proof', Json, nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('consent_latest', 'consent', ['contact_id', 'medium', 'topic', 'at', 'id', 'granted'])
    op.create_table('conversation',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=False),
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('thread', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('about', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('topic', sa.String(), nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('sentiment', sa.Float(), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('team', sa.String(), nullable=False),
    sa.Column('assignee', sa.String(), nullable=False),
    sa.Column('opened_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('last_inbound_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('answered_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('escalated_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('closed_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('conversation_of_contact', 'conversation', ['contact_id', 'state'])
    op.create_index('conversation_open', 'conversation', ['state', 'due_at'], postgresql_where=sa.text("state <> 'closed'"), sqlite_where=sa.text("state <> 'closed'"))
    op.create_index('conversation_thread', 'conversation', ['medium', 'thread'])
    op.create_table('merging',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('kept_id', sa.BigInteger(), nullable=False),
    sa.Column('merged_id', sa.BigInteger(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('reasons', Json, nullable=False),
    sa.Column('moved', Json, nullable=False),
    sa.Column('before', Json, nullable=False),
    sa.Column('fields', Json, nullable=False),
    sa.Column('undone_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['kept_id'], ['contact.id'], ),
    sa.ForeignKeyConstraint(['merged_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_merging_kept_id'), 'merging', ['kept_id'])
    op.create_index(op.f('ix_merging_merged_id'), 'merging', ['merged_id'])
    op.create_table('proposal',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('one_id', sa.BigInteger(), nullable=False),
    sa.Column('other_id', sa.BigInteger(), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('reasons', Json, nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('decided_by', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['one_id'], ['contact.id'], ),
    sa.ForeignKeyConstraint(['other_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('one_id', 'other_id', name='proposal_once')
    )
    op.create_index(op.f('ix_proposal_other_id'), 'proposal', ['other_id'])
    op.create_table('sign_up',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=True),
    sa.Column('medium', sa.String(), nullable=False),
    sa.Column('address', sa.String(), nullable=False),
    sa.Column('language', sa.String(), nullable=False),
    sa.Column('topics', Json, nullable=False),
    sa.Column('proof', Json, nullable=False),
    sa.Column('asked_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('confirmed_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('made_contact', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_sign_up_contact_id'), 'sign_up', ['contact_id'])
    op.create_index('sign_up_asked', 'sign_up', ['state', 'asked_at'])
    op.create_table('attempt',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('batch_id', sa.BigInteger(), nullable=False),
    sa.Column('fence', sa.Integer(), nullable=False),
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('finished_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.String(), nullable=True),
    sa.Column('detail', sa.String(), nullable=False),
    sa.Column('receipt', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['batch_id'], ['batch.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_attempt_batch_id'), 'attempt', ['batch_id'])
    op.create_table('turn',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('author', sa.String(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), nullable=True),
    sa.Column('enrolment_id', sa.BigInteger(), nullable=True),
    sa.Column('automatic', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('event_id')
    )
    op.create_index(op.f('ix_turn_conversation_id'), 'turn', ['conversation_id'])
    op.create_index(op.f('ix_turn_name'), 'turn', ['name'])
    # ### end Alembic commands ###


def _create_event() -> None:
    """Create the event table, on PostgreSQL with a partition for each month of receipt.

    https://www.postgresql.org/docs/current/ddl-partitioning.html. Two partitions are made here: one for all that comes
    until the end of this month, one for what no other holds; `passaparola.store.partitions` makes those of the months
    to come.
    """
    on_postgresql = op.get_bind().dialect.name == 'postgresql'
    key = ('id', 'received_at') if on_postgresql else ('id',)
    partitioned = {'postgresql_partition_by': 'RANGE (received_at)'} if on_postgresql else {}
    op.create_table('event',
    sa.Column('id', BigKey, autoincrement=True, nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('received_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('source_id', sa.String(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=True),
    sa.Column('currency', sa.String(), nullable=True),
    sa.Column('properties', Json, nullable=False),
    sa.Column('enrolment_id', sa.BigInteger(), nullable=True),
    sa.Column('step', sa.Integer(), nullable=True),
    sa.Column('medium', sa.String(), nullable=True),
    sa.Column('machine', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint(*key),
    **partitioned,
    )
    op.create_index('event_by_name', 'event', ['source_id'])
    op.create_index('event_new', 'event', ['kind', 'received_at'])
    op.create_index('event_of_contact', 'event', ['contact_id', 'kind', 'at'])
    op.create_index('event_of_message', 'event', ['enrolment_id', 'step', 'kind'], postgresql_where=sa.text('enrolment_id IS NOT NULL'), sqlite_where=sa.text('enrolment_id IS NOT NULL'))
    if on_postgresql:
        op.execute("""
        DO $$ BEGIN
          EXECUTE format('CREATE TABLE event_before PARTITION OF event FOR VALUES FROM (MINVALUE) TO (%L)',
                         date_trunc('month', now(), 'UTC') + interval '1 month');
        END $$""")
        op.execute('CREATE TABLE event_beyond PARTITION OF event DEFAULT')


def downgrade() -> None:
    for table in (
        'event', 'turn', 'attempt', 'sign_up', 'proposal', 'merging', 'conversation', 'consent', 'batch', 'approval', 'address', 'trait', 'suppression', 'staff', 'seal', 'raw_body', 'poll_cursor', 'message', 'link_event', 'launch', 'known_property', 'event_name', 'enrolment', 'contact', 'channel_incident', 'channel_backoff', 'audit', 'activity',
    ):
        op.drop_table(table)
