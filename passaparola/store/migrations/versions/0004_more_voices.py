"""more voices"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
import passaparola.store.types

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('trouble',
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('way', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('since', passaparola.store.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('told_at', passaparola.store.types.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('channel', 'way')
    )


def downgrade() -> None:
    op.drop_table('trouble')
