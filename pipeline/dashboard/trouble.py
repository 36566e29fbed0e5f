"""What keeps an open page from being up to date: each thing told once to its reader, and once to the log."""

from __future__ import annotations

import logging

from pipeline.dashboard.states import EXPECTED, NoHistory, words_of

logger = logging.getLogger(__name__)


class Trouble:
    """Of one page: what its works failed of last, those that work again left out."""

    def __init__(self) -> None:
        self._held: dict[int, Exception] = {}  # by the work

    def note(self, work: int, exc: Exception | None) -> bool:
        """How this work ended just now. True where its reader is to be told something else than before."""
        before = self.told().keys()
        if exc is None:
            self._held.pop(work, None)
        else:
            if _which(exc) not in map(_which, self._held.values()):
                log_failure(exc)
            self._held[work] = exc
        return self.told().keys() != before

    def told(self) -> dict[str, Exception]:
        """What is wrong, each thing once, by the words that its reader is told."""
        return {words_of(exc): exc for exc in self._held.values()}


def log_failure(exc: Exception) -> None:
    """One that nobody foresaw with all of it: its reader is told only that it stands here."""
    if isinstance(exc, NoHistory):
        return
    if isinstance(exc, EXPECTED):
        logger.warning("a page: %s", exc)
    else:
        logger.error("a page failed in a way nobody foresaw", exc_info=exc)


def _which(exc: Exception) -> str:
    """The same for what need not be logged again: one that was foreseen may say another number each time."""
    return words_of(exc) if isinstance(exc, EXPECTED) else repr(exc)
