"""what comes back"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql
import passaparola.store.types

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('listened',
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('since', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('problem', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('source')
    )
    op.create_table('seal',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=False),
    sa.Column('link', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('staff',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('role', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('password', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entry', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('created_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('conversation',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=False),
    sa.Column('medium', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('thread', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('subject', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('about', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('topic', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('language', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sentiment', sa.Float(), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('team', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('assignee', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('opened_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('heard_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('due_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('answered_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('escalated_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('closed_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('conversation', schema=None) as batch_op:
        batch_op.create_index('conversation_of_contact', ['contact_id', 'state'], unique=False)
        batch_op.create_index('conversation_open', ['state', 'due_at'], unique=False, postgresql_where=sa.text("state <> 'closed'"), sqlite_where=sa.text("state <> 'closed'"))
        batch_op.create_index('conversation_thread', ['medium', 'thread'], unique=False)

    op.create_table('merging',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('kept_id', sa.BigInteger(), nullable=False),
    sa.Column('merged_id', sa.BigInteger(), nullable=False),
    sa.Column('at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reasons', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('moved', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('before', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('fields', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('undone_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['kept_id'], ['contact.id'], ),
    sa.ForeignKeyConstraint(['merged_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('merging', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_merging_kept_id'), ['kept_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_merging_merged_id'), ['merged_id'], unique=False)

    op.create_table('proposal',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('one_id', sa.BigInteger(), nullable=False),
    sa.Column('other_id', sa.BigInteger(), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('reasons', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('decided_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['one_id'], ['contact.id'], ),
    sa.ForeignKeyConstraint(['other_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('one_id', 'other_id', name='proposal_once')
    )
    with op.batch_alter_table('proposal', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_proposal_other_id'), ['other_id'], unique=False)

    op.create_table('sign_up',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('contact_id', sa.BigInteger(), nullable=True),
    sa.Column('medium', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('language', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('topics', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('proof', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('asked_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('confirmed_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('made_contact', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['contact_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('sign_up', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sign_up_contact_id'), ['contact_id'], unique=False)
        batch_op.create_index('sign_up_asked', ['state', 'asked_at'], unique=False)

    op.create_table('turn',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('conversation_id', sa.BigInteger(), nullable=False),
    sa.Column('at', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('author', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('text', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), nullable=True),
    sa.Column('enrolment_id', sa.BigInteger(), nullable=True),
    sa.Column('automatic', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('event_id')
    )
    with op.batch_alter_table('turn', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_turn_conversation_id'), ['conversation_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_turn_name'), ['name'], unique=False)

    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.add_column(sa.Column('number', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('link', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.create_unique_constraint('audit_number', ['number'])

    with op.batch_alter_table('contact', schema=None) as batch_op:
        batch_op.add_column(sa.Column('sources', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False, server_default='{}'))
        batch_op.add_column(sa.Column('weekly_most', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('paused_until', passaparola.store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('lifecycle', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.add_column(sa.Column('participation', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.add_column(sa.Column('merged_into', sa.BigInteger(), nullable=True))

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('enrolment_id', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('step', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('medium', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.add_column(sa.Column('machine', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.create_index('event_of_message', ['enrolment_id', 'step', 'kind'], unique=False, postgresql_where=sa.text('enrolment_id IS NOT NULL'), sqlite_where=sa.text('enrolment_id IS NOT NULL'))

    with op.batch_alter_table('intake', schema=None) as batch_op:
        batch_op.add_column(sa.Column('urgent', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.create_index('intake_urgent', ['id'], unique=False, postgresql_where=sa.text('urgent'), sqlite_where=sa.text('urgent'))



    op.create_index('message_unknown', 'message', ['batch_id'], postgresql_where=sa.text("state = 'unknown'"), sqlite_where=sa.text("state = 'unknown'"))
    op.create_index('batch_unknown', 'batch', ['id'], postgresql_where=sa.text("state = 'unknown'"), sqlite_where=sa.text("state = 'unknown'"))
    _clicks_name_their_message(op.get_bind())


def _clicks_name_their_message(connection) -> None:
    """A click kept until now says in its source_id which message it came from: enrolment-step-medium/link/minute."""
    event = sa.table('event', *(sa.column(name) for name in ('id', 'source', 'source_id', 'enrolment_id', 'step', 'medium')))
    for id_, source_id in connection.execute(sa.select(event.c.id, event.c.source_id).where(event.c.source.in_(['link', 'survey']))).all():
        enrolment, _, rest = source_id.partition('/')[0].partition('-')
        step, _, medium = rest.partition('-')
        if enrolment.isdigit() and step.isdigit():
            change = sa.update(event).where(event.c.id == id_)
            connection.execute(change.values(enrolment_id=int(enrolment), step=int(step), medium=medium))


def downgrade() -> None:
    op.drop_index('batch_unknown', 'batch')
    op.drop_index('message_unknown', 'message')
    with op.batch_alter_table('intake', schema=None) as batch_op:
        batch_op.drop_index('intake_urgent', postgresql_where=sa.text('urgent'), sqlite_where=sa.text('urgent'))
        batch_op.drop_column('urgent')

    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_index('event_of_message', postgresql_where=sa.text('enrolment_id IS NOT NULL'), sqlite_where=sa.text('enrolment_id IS NOT NULL'))
        batch_op.drop_column('machine')
        batch_op.drop_column('medium')
        batch_op.drop_column('step')
        batch_op.drop_column('enrolment_id')

    with op.batch_alter_table('contact', schema=None) as batch_op:
        batch_op.drop_column('merged_into')
        batch_op.drop_column('participation')
        batch_op.drop_column('lifecycle')
        batch_op.drop_column('paused_until')
        batch_op.drop_column('weekly_most')
        batch_op.drop_column('sources')

    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.drop_constraint('audit_number', type_='unique')
        batch_op.drop_column('link')
        batch_op.drop_column('number')

    with op.batch_alter_table('turn', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_turn_name'))
        batch_op.drop_index(batch_op.f('ix_turn_conversation_id'))

    op.drop_table('turn')
    with op.batch_alter_table('sign_up', schema=None) as batch_op:
        batch_op.drop_index('sign_up_asked')
        batch_op.drop_index(batch_op.f('ix_sign_up_contact_id'))

    op.drop_table('sign_up')
    with op.batch_alter_table('proposal', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_proposal_other_id'))

    op.drop_table('proposal')
    with op.batch_alter_table('merging', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_merging_merged_id'))
        batch_op.drop_index(batch_op.f('ix_merging_kept_id'))

    op.drop_table('merging')
    with op.batch_alter_table('conversation', schema=None) as batch_op:
        batch_op.drop_index('conversation_thread')
        batch_op.drop_index('conversation_open', postgresql_where=sa.text("state <> 'closed'"), sqlite_where=sa.text("state <> 'closed'"))
        batch_op.drop_index('conversation_of_contact')

    op.drop_table('conversation')
    op.drop_table('staff')
    op.drop_table('seal')
    op.drop_table('listened')

