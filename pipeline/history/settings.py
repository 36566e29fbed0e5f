"""Where the history is kept, and for how long."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator

from stages.settings import Settings

EMBEDDED = "embedded"
GROUP = "history"  # its consumer group in Redis
_SCHEME = "postgresql"


class HistorySettings(Settings):
    """Results in SQL: what the page, `/v1/inspections` and `rayline history` answer from."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the input may hold a password

    url: SecretStr = Field(
        SecretStr(EMBEDDED),
        description="`embedded`: a SQLite file of Rayline's own, for one machine. Else "
        "postgresql://user:password@host:port/database; write ${NAME} and set NAME in the environment, or keep the "
        "password in `password_file`.",
    )
    password_file: Path | None = Field(None, description="File that holds the database's password. null: none.")
    data_dir: Path | None = Field(
        None,
        description="embedded only: folder of the SQLite file, kept over restarts. null: beside the embedded Redis' "
        "own data; where that keeps nothing, nothing outlives `rayline up`.",
    )
    retention_days: float = Field(
        90.0,
        gt=0,
        le=36500,
        description="Parts, events and uninspected times are deleted after so long, but for parts "
        "that somebody reviewed. More costs some 1.5 kB of disk a part.",
    )
    minutes_retention_days: float = Field(
        730.0,
        gt=0,
        le=36500,
        description="The counts by the minute, which charts are made of, are deleted after so long.",
    )
    batch: int = Field(
        500,
        ge=1,
        le=10_000,
        description="Messages written in one transaction. More catch up sooner; fewer are seen sooner.",
    )
    max_dead_letters: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Messages that cannot be kept (damaged, or of a later version) that stay in Redis, a line. More "
        "leaves time to look at them; each takes what the message takes.",
    )

    @field_validator("url")
    @classmethod
    def _is_a_database(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text == EMBEDDED:
            return url
        try:
            parts = urlsplit(text)
            is_one = parts.scheme == _SCHEME and bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
        except ValueError:
            is_one = False
        if not is_one:
            raise ValueError("must be `embedded` or postgresql://user:password@host:port/database")
        return url

    @property
    def embedded(self) -> bool:
        """True where it is a file of Rayline's own."""
        return self.url.get_secret_value() == EMBEDDED
