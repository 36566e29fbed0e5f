"""Ends sessions that are over while their pages stand open: a key revoked, a token run out, the time up."""

from __future__ import annotations

import asyncio
import logging

from pipeline.dashboard.access import Access

logger = logging.getLogger(__name__)

LOOK_S = 3.0


async def watch_sessions(access: Access) -> None:
    """Until it is cancelled. Each session with an open page is asked for once, however many pages it has."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            for session_id, session in access.sessions.all().items():
                if session.sockets:
                    await access.still(session_id, session)
        except Exception:  # the top of a task that must go on
            logger.exception("sessions could not be looked at")
