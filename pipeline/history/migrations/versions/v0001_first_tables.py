"""The first tables, as they were released first."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "alarms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_ms", sa.BigInteger(), nullable=False),
        sa.Column("cleared_ms", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=200), nullable=True),
        sa.Column("acknowledged_ms", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    op.create_index(op.f("ix_alarms_cleared_ms"), "alarms", ["cleared_ms"], unique=False)
    op.create_index(op.f("ix_alarms_line_raised_ms"), "alarms", ["line", "raised_ms"], unique=False)
    op.create_table(
        "camera_minutes",
        sa.Column("camera", sa.String(length=200), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("health", sa.String(length=32), nullable=False),
        sa.Column("fps_in", sa.Float(), nullable=False),
        sa.Column("fps_out", sa.Float(), nullable=False),
        sa.Column("latency_ms_p50", sa.Float(), nullable=True),
        sa.Column("latency_ms_p95", sa.Float(), nullable=True),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("camera", "minute", name=op.f("pk_camera_minutes")),
    )
    op.create_index(op.f("ix_camera_minutes_line_minute"), "camera_minutes", ["line", "minute"], unique=False)
    op.create_table(
        "defect_minutes",
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("camera", sa.String(length=200), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=300), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "line", "minute", "camera", "recipe", "model", "counts", "label", name=op.f("pk_defect_minutes")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("camera", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_line_at_ms"), "events", ["line", "at_ms"], unique=False)
    op.create_index(op.f("ix_events_line_kind_at_ms"), "events", ["line", "kind", "at_ms"], unique=False)
    op.create_table(
        "frozen_limits",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("chart", sa.String(length=16), nullable=False),
        sa.Column("center", sa.Float(), nullable=True),
        sa.Column("sigma_z", sa.Float(), nullable=True),
        sa.Column("since_ms", sa.BigInteger(), nullable=True),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frozen_limits")),
    )
    op.create_index(op.f("ix_frozen_limits_line_chart_id"), "frozen_limits", ["line", "chart", "id"], unique=False)
    op.create_table(
        "inspections",
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("camera", sa.String(length=200), nullable=False),
        sa.Column("station", sa.String(length=200), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("external_id", sa.String(length=300), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("captured_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=True),
        sa.Column("model", sa.String(length=300), nullable=False),
        sa.Column("has_snapshot", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspections")),
    )
    op.create_index(op.f("ix_inspections_camera_captured_ms"), "inspections", ["camera", "captured_ms"], unique=False)
    op.create_index(op.f("ix_inspections_captured_ms"), "inspections", ["captured_ms"], unique=False)
    op.create_index(
        op.f("ix_inspections_external_id_line_counts"),
        "inspections",
        ["external_id", "line", "counts"],
        unique=False,
    )
    op.create_index(op.f("ix_inspections_line_captured_ms"), "inspections", ["line", "captured_ms"], unique=False)
    op.create_index(
        op.f("ix_inspections_line_has_snapshot_verdict_captured_ms"),
        "inspections",
        ["line", "has_snapshot", "verdict", "captured_ms"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inspections_line_verdict_captured_ms"), "inspections", ["line", "verdict", "captured_ms"], unique=False
    )
    op.create_table(
        "part_minutes",
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("camera", sa.String(length=200), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=300), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("defects", sa.Integer(), nullable=False),
        sa.Column("firsts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "line", "minute", "camera", "recipe", "model", "counts", "verdict", name=op.f("pk_part_minutes")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "uninspected",
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("camera", sa.String(length=200), nullable=False),
        sa.Column("station", sa.String(length=200), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uninspected")),
    )
    op.create_index(op.f("ix_uninspected_camera_since_ms"), "uninspected", ["camera", "since_ms"], unique=False)
    op.create_index(op.f("ix_uninspected_line_since_ms"), "uninspected", ["line", "since_ms"], unique=False)
    op.create_table(
        "defects",
        sa.Column("inspection_id", sa.String(length=300), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("captured_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.id"], name=op.f("fk_defects_inspection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("inspection_id", "label", name=op.f("pk_defects")),
    )
    op.create_index(
        op.f("ix_defects_line_label_captured_ms"), "defects", ["line", "label", "captured_ms"], unique=False
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("inspection_id", sa.String(length=300), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("captured_ms", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspections.id"], name=op.f("fk_reviews_inspection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_inspection_id_id"), "reviews", ["inspection_id", "id"], unique=False)
    op.create_index(op.f("ix_reviews_line_captured_ms"), "reviews", ["line", "captured_ms"], unique=False)
