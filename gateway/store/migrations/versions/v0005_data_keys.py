"""Data keys: what values are sealed with once the master key was changed, each sealed with the master key itself."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_key",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_enc", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('next', 'active', 'retiring')", name=op.f("ck_data_key_state")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_data_key")),
    )
