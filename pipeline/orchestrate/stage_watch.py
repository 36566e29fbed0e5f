"""Looks at the stages beside the supervisor's rounds: Serve may be slow to answer, and no camera waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from pipeline.orchestrate.stage_states import stage_states
from pipeline.orchestrate.state import StageReport

logger = logging.getLogger(__name__)

EVERY_S = 5.0
OLD_S = 20.0  # what is older says nothing of now


class StageWatch:
    """Asks on a thread, one question at a time."""

    def __init__(
        self,
        ask: Callable[[], Sequence[StageReport]] = stage_states,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._asking: asyncio.Future[Sequence[StageReport]] | None = None
        self._asked_at = float("-inf")
        self._states: Sequence[StageReport] = ()
        self._known_at = float("-inf")
        self._told = ""  # of what it failed with last

    def look(self) -> None:
        """Called each round: takes an answer that has come, and asks anew where it is time."""
        if self._asking is not None and self._asking.done():
            asking, self._asking = self._asking, None
            try:
                self._states, self._known_at = asking.result(), self._clock()
                self._told = ""
            except Exception as exc:  # the top of a side question: no camera waits for it
                if repr(exc) != self._told:  # once, with all of it, not every few seconds while it lasts
                    self._told = repr(exc)
                    logger.warning("Serve does not tell its stages: %s", type(exc).__name__, exc_info=exc)
        if self._asking is None and self._clock() - self._asked_at >= EVERY_S:
            self._asked_at = self._clock()
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._ask))

    def reports(self) -> tuple[StageReport, ...]:
        """As last heard; none where that is too long ago."""
        if self._clock() - self._known_at > OLD_S:
            return ()
        return tuple(self._states)
