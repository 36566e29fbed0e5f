"""The history's tables. Times are Unix milliseconds UTC, minutes are Unix minutes; a new column needs a migration."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only what it calls INTEGER

# One row a part: what queries look at in columns, all of it in `message`, as it was published.
inspections = Table(
    "inspections",
    metadata,
    Column("id", String(300), primary_key=True),  # inspection_id
    Column("line", String(200), nullable=False),
    Column("camera", String(200), nullable=False),
    Column("station", String(200), nullable=False),
    Column("counts", Boolean, nullable=False),  # the line's parts are counted at this station
    Column("external_id", String(300)),
    Column("verdict", String(16), nullable=False),  # pass | reject | indeterminate
    Column("captured_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger, nullable=False),
    Column("recipe", String(200)),
    Column("model", String(300), nullable=False),  # name:version
    Column("has_snapshot", Boolean, nullable=False),
    Column("message", Text, nullable=False),  # JSON, wire schema v1
    Index(None, "line", "captured_ms"),
    Index(None, "line", "verdict", "captured_ms"),
    Index(None, "line", "has_snapshot", "verdict", "captured_ms"),
    Index(None, "external_id", "line", "counts"),
    Index(None, "camera", "captured_ms"),
    Index(None, "captured_ms"),
)

# One row a defect label of a part, for filters.
defects = Table(
    "defects",
    metadata,
    Column("inspection_id", ForeignKey(inspections.c.id, ondelete="CASCADE"), primary_key=True),
    Column("label", String(200), primary_key=True),
    Column("line", String(200), nullable=False),
    Column("captured_ms", BigInteger, nullable=False),
    Index(None, "line", "label", "captured_ms"),
)

uninspected = Table(
    "uninspected",
    metadata,
    Column("id", String(300), primary_key=True),  # interval_id
    Column("line", String(200), nullable=False),
    Column("camera", String(200), nullable=False),
    Column("station", String(200), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),  # null: it lasts
    Column("reason", String(200), nullable=False),
    Column("recipe", String(200)),
    Index(None, "line", "since_ms"),
    Index(None, "camera", "since_ms"),
)

events = Table(
    "events",
    metadata,
    Column("id", String(300), primary_key=True),  # event_id
    Column("line", String(200), nullable=False),
    Column("camera", String(200), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("recipe", String(200)),
    Column("data", JSON, nullable=False),
    Index(None, "line", "at_ms"),
    Index(None, "line", "kind", "at_ms"),
)

# Roll-ups, counted up in the transaction that inserts the inspections: each part once, whatever is delivered again.
part_minutes = Table(
    "part_minutes",
    metadata,
    Column("line", String(200), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("camera", String(200), primary_key=True),
    Column("recipe", String(200), primary_key=True),  # "" where there is none
    Column("model", String(300), primary_key=True),
    Column("counts", Boolean, primary_key=True),
    Column("verdict", String(16), primary_key=True),
    Column("parts", Integer, nullable=False),
    Column("defects", Integer, nullable=False),  # of these parts, all labels together, each label once a part
    Column(
        "firsts", Integer, nullable=False, server_default="0"
    ),  # that have an external_id and were here never before
    sqlite_with_rowid=False,  # rows lie in the order of the key, as they are read
)

defect_minutes = Table(
    "defect_minutes",
    metadata,
    Column("line", String(200), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("camera", String(200), primary_key=True),
    Column("recipe", String(200), primary_key=True),
    Column("model", String(300), primary_key=True),
    Column("counts", Boolean, primary_key=True),
    Column("label", String(200), primary_key=True),
    Column("parts", Integer, nullable=False),  # parts that have it
    sqlite_with_rowid=False,  # rows lie in the order of the key, as they are read
)

# How each camera did, out of the reports; the newest report of a minute overwrites.
camera_minutes = Table(
    "camera_minutes",
    metadata,
    Column("camera", String(200), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("line", String(200), nullable=False),
    Column("state", String(32), nullable=False),  # the worst of the minute
    Column("health", String(32), nullable=False),  # the worst of the minute
    Column("fps_in", Float, nullable=False),  # mean
    Column("fps_out", Float, nullable=False),  # mean
    Column("latency_ms_p50", Float),  # mean
    Column("latency_ms_p95", Float),  # the largest of the minute
    Column("dropped", Integer, nullable=False),  # frames, in this minute
    Index(None, "line", "minute"),
)

# What people said of a part; nothing is overwritten, the newest of a part holds.
reviews = Table(
    "reviews",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("inspection_id", ForeignKey(inspections.c.id), nullable=False),
    Column("line", String(200), nullable=False),
    Column("captured_ms", BigInteger, nullable=False),  # of the part
    Column("said", String(16), nullable=False),  # what the part truly is: pass | reject
    Column("reason", Text, nullable=False),  # "" where they agree
    Column("labels", JSON, nullable=False),  # defects it truly has, where they say so; [] else
    Column("by", String(200), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index(None, "inspection_id", "id"),
    Index(None, "line", "captured_ms"),
)

# Control limits that somebody froze; the newest of a line and chart holds, one without limits lets them move again.
frozen_limits = Table(
    "frozen_limits",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("line", String(200), nullable=False),
    Column("chart", String(16), nullable=False),  # p | laney_p | u
    Column("center", Float),  # null: they were let go
    Column("sigma_z", Float),
    Column("since_ms", BigInteger),  # what they were computed of
    Column("until_ms", BigInteger),
    Column("recipe", String(200)),  # "" where there was none
    Column("model", String(300)),  # null: frozen before this was kept, they hold for every recipe and model
    Column("by", String(200), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index(None, "line", "chart", "id"),
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),  # reject_rate | run_rule | camera_blind | latency
    Column("line", String(200), nullable=False),
    Column("subject", String(200), nullable=False),  # camera or chart; "" for the line
    Column("severity", String(16), nullable=False),  # warning | critical
    Column("detail", Text, nullable=False),  # a sentence for people
    Column("raised_ms", BigInteger, nullable=False),
    Column("cleared_ms", BigInteger),  # null: it holds
    Column("acknowledged_by", String(200)),
    Column("acknowledged_ms", BigInteger),
    Column("note", Text, nullable=False),  # with the acknowledgement
    Index(None, "line", "raised_ms"),
    Index(None, "cleared_ms"),
)
# One of a kind holds at a time, whoever raises it.
Index(
    "uq_alarms_holding",
    alarms.c.kind,
    alarms.c.line,
    alarms.c.subject,
    unique=True,
    sqlite_where=alarms.c.cleared_ms.is_(None),
    postgresql_where=alarms.c.cleared_ms.is_(None),
)

# What is to be told of an alarm, and to whom; written in the transaction that raises or clears it.
alarm_notices = Table(
    "alarm_notices",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("alarm_id", ForeignKey(alarms.c.id, ondelete="CASCADE"), nullable=False),
    Column("channel", String(200), nullable=False),  # a webhook's name, or email
    Column("what", String(16), nullable=False),  # raised | repeated | cleared
    Column("at_ms", BigInteger, nullable=False),  # when there was reason to tell it
    Column("tries", Integer, nullable=False),
    Column("next_ms", BigInteger, nullable=False),  # not tried before that
    Column("done_ms", BigInteger),  # null: it waits
    Column("outcome", Text, nullable=False),  # sent, or why it was given up; "" while it waits
    Index(None, "channel", "done_ms", "id"),
    Index(None, "alarm_id"),
)
