"""A history that is there already, for those that ask it and do not keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.history.database import FILE, Database, HistoryUnavailable, database_url, open_database

if TYPE_CHECKING:
    from pipeline.history.settings import HistorySettings


def open_existing(settings: HistorySettings) -> Database:
    """Raises HistoryUnavailable where none was made yet, and HistoryMisconfigured."""
    folder = settings.data_dir
    if settings.embedded and folder is None:
        raise HistoryUnavailable(
            "the history ends with `rayline up`: `history.data_dir` keeps it, and lets others look"
        )
    if settings.embedded and folder is not None and not (folder / FILE).exists():  # SQLite would make an empty one
        raise HistoryUnavailable(f"there is no history in {folder}: it is not made yet, or is on another machine")
    return open_database(database_url(settings))
