"""What the app is told when a client of Serve's proxy leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray.exceptions import RayError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LeavingIsNoFailure:
    """Stands before the app in a replica: a call back to the proxy that is lost is a client that is gone.

    Where a client leaves, Serve cancels the replica's open question for its next message, and raises that from
    `receive`; so it does where the proxy died. Left to the app it would be a failure, with a traceback for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def heard() -> Message:
            try:
                return await receive()
            except RayError:
                return {"type": "websocket.disconnect", "code": 1006} if is_socket else {"type": "http.disconnect"}

        is_socket = scope["type"] == "websocket"
        await self._app(scope, heard, send)
