"""How long an answer may take."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.control.limits.refusing import TRY_AGAIN, refuse

logger = logging.getLogger(__name__)

_BEGINNINGS = ("http.response.start", "websocket.accept")


class Deadline:
    """Stops the work on a request that takes too long, and says 503.

    A route that streams has until it begins to answer, and then goes on for as long as it is listened to. An answer
    that is cut off half-way ends without its end, which clients notice.
    """

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        has_begun = False
        limit = asyncio.timeout(self._timeout_s)

        async def tell(message: Message) -> None:
            nonlocal has_begun
            if message["type"] in _BEGINNINGS:
                has_begun = True
                rule = scope.get("state", {}).get("rule")  # the gate puts it there
                if rule is not None and rule.streams and not limit.expired():
                    limit.reschedule(None)
            await send(message)

        try:
            async with limit:
                await self._app(scope, receive, tell)
        except TimeoutError:
            if not limit.expired():
                raise  # the app's own
        if not limit.expired():
            return
        request_id = scope.get("state", {}).get("request_id", "")
        logger.warning("request %s: no answer within %g s", request_id, self._timeout_s)
        if not has_begun:
            await refuse(scope, send, 503, f"no answer within {self._timeout_s:g} s: try again", TRY_AGAIN)
