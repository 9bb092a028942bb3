"""audiences: questions are answered from the indexes alone"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

LATEST = [f'latest_{n}' for n in range(1, 6)]
INCLUDED = ['country', 'language', 'city', 'lifecycle', 'participation']
CONSENT = ['contact_id', 'medium', 'topic', 'at', 'id']


def upgrade() -> None:
    _anew('activity_recent', 'activity', ['kind', *LATEST, 'count', 'contact_id'])
    _anew('consent_latest', 'consent', [*CONSENT, 'granted'])
    if op.get_bind().dialect.name == 'postgresql':
        alive = sa.text('erased_at IS NULL AND merged_into IS NULL')
        op.create_index('contact_alive', 'contact', ['id'], postgresql_include=INCLUDED, postgresql_where=alive)


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        op.drop_index('contact_alive', 'contact')
    _anew('activity_recent', 'activity', ['kind', 'latest_1'])
    _anew('consent_latest', 'consent', CONSENT)


def _anew(index: str, table: str, columns: list[str]) -> None:
    op.drop_index(index, table)
    op.create_index(index, table, columns)
