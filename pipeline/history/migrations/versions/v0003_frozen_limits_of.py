"""Of which recipe and model limits were frozen; those of before hold for every one, as they did."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the columns."""
    op.add_column("frozen_limits", sa.Column("recipe", sa.String(length=200), nullable=True))
    op.add_column("frozen_limits", sa.Column("model", sa.String(length=300), nullable=True))
