"""audiences: questions are answered from the indexes alone"""

from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

LATEST = [f'latest_{n}' for n in range(1, 6)]
CONSENT = ['contact_id', 'medium', 'topic', 'at', 'id']


def upgrade() -> None:
    _anew('activity_recent', 'activity', ['kind', *LATEST, 'count', 'contact_id'])
    _anew('consent_latest', 'consent', [*CONSENT, 'granted'])


def downgrade() -> None:
    _anew('activity_recent', 'activity', ['kind', 'latest_1'])
    _anew('consent_latest', 'consent', CONSENT)


def _anew(index: str, table: str, columns: list[str]) -> None:
    op.drop_index(index, table)
    op.create_index(index, table, columns)
