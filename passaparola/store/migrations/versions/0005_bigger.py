"""bigger: what a million people and a hundred million events need"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
import passaparola.store.types

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

INDEXES = {
    'event_by_name': '(source_id)',
    'event_of_message': '(enrolment_id, step, kind) WHERE enrolment_id IS NOT NULL',
    'event_of_contact': '(contact_id, kind, at)',
    'event_new': '(kind, received_at)',
}


def upgrade() -> None:
    op.create_table('event_name',
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('source', 'source_id'),
    sqlite_with_rowid=False
    )
    op.execute('INSERT INTO event_name (source, source_id) SELECT source, source_id FROM event')
    op.create_table('rest',
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('until', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('channel')
    )
    open_ = sa.text("state IN ('queued', 'sending')")
    op.drop_index('batch_open', 'batch')
    op.create_index('batch_open', 'batch', ['state', 'due_at', 'id'], postgresql_where=open_, sqlite_where=open_)
    for table in ('enrolment', 'activity'):
        _without_foreign_keys(table)
    if op.get_bind().dialect.name == 'postgresql':
        _by_month()
    else:
        _without_foreign_keys('event', {'event_once'})
        op.create_index('event_by_name', 'event', ['source_id'])


def _without_foreign_keys(table: str, others: set[str] = frozenset()) -> None:
    """They have no names on SQLite, where the table is made anew from what it is without them."""
    connection = op.get_bind()
    if connection.dialect.name == 'postgresql':
        for key in sa.inspect(connection).get_foreign_keys(table):
            op.drop_constraint(key['name'], table, type_='foreignkey')
        return
    whole = sa.Table(table, sa.MetaData(), autoload_with=connection)
    whole.constraints = {
        one for one in whole.constraints if not isinstance(one, sa.ForeignKeyConstraint) and one.name not in others
    }
    for column in whole.columns:
        column.foreign_keys = set()
    with op.batch_alter_table(table, copy_from=whole, recreate='always'):
        pass


def _by_month() -> None:
    """https://www.postgresql.org/docs/current/ddl-partitioning.html; what was there becomes the partition of all before."""
    for index in INDEXES:
        op.execute(f'DROP INDEX IF EXISTS {index}')
    op.execute('ALTER TABLE event DROP CONSTRAINT event_once')
    op.execute('ALTER TABLE event DROP CONSTRAINT event_pkey')
    _without_foreign_keys('event')
    op.execute('ALTER TABLE event RENAME TO event_before')
    op.execute('CREATE TABLE event (LIKE event_before INCLUDING DEFAULTS) PARTITION BY RANGE (received_at)')
    op.execute('ALTER SEQUENCE event_id_seq OWNED BY event.id')
    op.execute('ALTER TABLE event ADD PRIMARY KEY (id, received_at)')
    for index, columns in INDEXES.items():
        op.execute(f'CREATE INDEX {index} ON event {columns}')
    # The border is the next month's first day: what comes until then joins what is here.
    op.execute("""
    DO $$ BEGIN
      EXECUTE format('ALTER TABLE event ATTACH PARTITION event_before FOR VALUES FROM (MINVALUE) TO (%L)',
                     date_trunc('month', greatest(now(), (SELECT max(received_at) FROM event_before)), 'UTC') + interval '1 month');
    END $$""")
    op.execute('CREATE TABLE event_beyond PARTITION OF event DEFAULT')


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('CREATE TABLE event_whole (LIKE event INCLUDING DEFAULTS)')
        op.execute('INSERT INTO event_whole SELECT * FROM event')
        op.execute('ALTER SEQUENCE event_id_seq OWNED BY event_whole.id')
        op.execute('DROP TABLE event CASCADE')
        op.execute('ALTER TABLE event_whole RENAME TO event')
        op.execute('ALTER TABLE event ADD CONSTRAINT event_pkey PRIMARY KEY (id)')
        for index, columns in INDEXES.items():
            if index != 'event_by_name':
                op.execute(f'CREATE INDEX {index} ON event {columns}')
    else:
        op.drop_index('event_by_name', 'event')
    with op.batch_alter_table('event') as batch_op:
        batch_op.create_unique_constraint('event_once', ['source', 'source_id'])
    for table, keys in (('event', ['contact']), ('activity', ['contact']), ('enrolment', ['contact', 'launch'])):
        with op.batch_alter_table(table) as batch_op:
            for key in keys:
                batch_op.create_foreign_key(f'{table}_{key}_id_fkey', key, [f'{key}_id'], ['id'])
    open_ = sa.text("state IN ('queued', 'sending')")
    op.drop_index('batch_open', 'batch')
    op.create_index('batch_open', 'batch', ['state', 'due_at'], postgresql_where=open_, sqlite_where=open_)
    op.drop_table('rest')
    op.drop_table('event_name')
