"""the first hour: a batch knows what is read in it"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'known_property',
        sa.Column('kind', sa.String(), nullable=False),
        sa.Column('name', sa.String(), nullable=False),
        sa.Column('type', sa.String(), nullable=False),
        sa.PrimaryKeyConstraint('kind', 'name', 'type'),
    )
    op.add_column('launch', sa.Column('transactional', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE launch SET transactional = true WHERE campaign LIKE '\\_%' ESCAPE '\\'")
    op.add_column('batch', sa.Column('wording', sa.String(), nullable=False, server_default=''))
    op.create_index('batch_wording', 'batch', ['wording', 'launch_id'])
    op.drop_index('ix_launch_wording', 'launch')
    op.create_index('address_by_key', 'address', ['key'])


def downgrade() -> None:
    op.create_index('ix_launch_wording', 'launch', ['wording'])
    op.drop_index('address_by_key', 'address')
    op.drop_index('batch_wording', 'batch')
    op.drop_column('batch', 'wording')
    op.drop_column('launch', 'transactional')
    op.drop_table('known_property')
