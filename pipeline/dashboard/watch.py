"""Ends the pages of sessions that are over: whose key was revoked, whose time is up, who logged out elsewhere."""

from __future__ import annotations

import asyncio
import logging

from nicegui import Client, core

from pipeline.dashboard.access import Access
from pipeline.dashboard.gate import owner_of
from pipeline.dashboard.session import LOOPBACK_OWNER

logger = logging.getLogger(__name__)

LOOK_S = 3.0


class Watch:
    """Looks at open pages; those of nobody are closed, and their browsers load the login."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception:  # the top of a task that must go on
                logger.exception("sessions could not be looked at")

    async def look(self) -> None:
        """Once. Each session with a page is asked for once, however many pages it has."""
        looked_at = {owner_of(client) for client in Client.instances.values()}
        lasting = {LOOPBACK_OWNER} if self._access.is_open else set()
        for session_id, session in self._access.sessions.all().items():
            if session.owner in looked_at and await self._access.still(session_id, session):
                lasting.add(session.owner)
        for client in list(Client.instances.values()):
            if owner_of(client) in looked_at and owner_of(client) not in lasting:
                await close(client)


async def close(client: Client) -> None:
    """Hang up on its browser, which then loads it again and meets the gate."""
    for sid, _ in list(core.sio.manager.get_participants("/", client.id)):
        await core.sio.disconnect(sid)
    if not client.is_deleted:
        client.delete()
