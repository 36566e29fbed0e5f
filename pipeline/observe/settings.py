"""How Rayline speaks of itself: the form and level of its log, the port of its metrics, how much is traced and kept."""

from enum import StrEnum

from pydantic import Field

from stages.settings import Settings


class LogFormat(StrEnum):
    """For people or for machines."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(Settings):
    """The log of every process of one Rayline."""

    log: LogFormat = Field(
        LogFormat.CONSOLE, description="console: aligned lines for people. json: one object a line, for log shippers."
    )
    level: LogLevel = Field(
        LogLevel.INFO,
        description="The least that is logged. debug adds a line per frame (MBs an hour); warning hides the cameras' "
        "comings and goings; error leaves only what a person must act on.",
    )


class ObserveSettings(LogSettings):
    """Logs, metrics, traces and audit log of every process of one Rayline."""

    metrics_port: int | None = Field(
        9464,
        ge=1024,
        le=65535,
        description="TCP port on which a local Ray answers Prometheus at /metrics. null lets Ray pick a free one; with "
        "`--address` the cluster's own port holds and this is not used.",
    )
    trace_sample: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of batches whose way is traced from stage to stage, for the metrics and `rayline profile`. "
        "More shows rare delays sooner and costs some 0.3 ms of CPU a traced batch; 0 traces none but while "
        "`rayline profile` asks for some.",
    )
    audit_entries: int = Field(
        10_000,
        ge=100,
        le=1_000_000,
        description="Changes of cameras and lines that `rayline audit` and the API remember, the newest, 0.5 kB of "
        "Redis each. More reach further back.",
    )
