"""How long a request's body may be, and how long it may take to come."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.control.limits.refusing import TRY_AGAIN, refuse

MOST_SETTINGS_BYTES = 64 * 1024
_NO_MORE = {"Connection": "close"}


class BodyBudget:
    """Bytes that the bodies of all requests under way may take together, in this process."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def take(self, count: int) -> bool:
        """False, and nothing taken, where there is no room."""
        if count > self._left:
            return False
        self._left -= count
        return True

    def give_back(self, count: int) -> None:
        """What a request took, once it is done."""
        self._left += count


class BodyLimit:
    """Refuses a body that says it is too long (413), is (413), or does not come in time (408).

    The time runs from when the body is first asked for: a route that reads none owes nobody patience. Where a budget is
    given, a body that does not fit beside the others is told 503.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, timeout_s: float, budget: BodyBudget | None = None) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = _declared(scope)
        if declared is None:
            await refuse(scope, send, 400, "Content-Length is no number, or not alone", _NO_MORE)
        elif declared > self._most_bytes:
            await refuse(scope, send, 413, self._too_long)
        else:
            await self._watched(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        watched = _Body(receive, send, self._most_bytes, self._timeout_s, self._budget)
        try:
            await watched.run(self._app, scope)
        finally:
            if self._budget is not None:
                self._budget.give_back(watched.taken)
        if watched.refused is None or watched.has_answered:
            return
        slow = f"the body did not come within {self._timeout_s:g} s"
        full = "too many bodies are under way: try again"
        detail = {413: self._too_long, 408: slow, 503: full}[watched.refused]
        await refuse(scope, send, watched.refused, detail, TRY_AGAIN if watched.refused == 503 else None)

    @property
    def _too_long(self) -> str:
        return f"a body is at most {self._most_bytes} bytes long"


class ShortBodies:
    """Stands behind the gate: only images are long. Other bodies are parsed where everybody waits for it."""

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app = app
        self._limited = BodyLimit(app, MOST_SETTINGS_BYTES, timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        rule = scope.get("state", {}).get("rule")  # the gate puts it there
        is_long = rule is not None and rule.detects
        await (self._app if is_long else self._limited)(scope, receive, send)


class _Body:
    """One request's body on its way to the app, which is stopped when it must not go on.

    Stopped by cancellation: what a `receive` raises, and that the client has gone, frameworks answer in their own way.
    """

    def __init__(
        self, receive: Receive, send: Send, most_bytes: int, timeout_s: float, budget: BodyBudget | None
    ) -> None:
        self.refused: int | None = None  # with which status
        self.has_answered = False
        self.taken = 0  # of the budget
        self._receive, self._send = receive, send
        self._most_bytes, self._timeout_s = most_bytes, timeout_s
        self._budget = budget
        self._is_whole = False
        self._came = 0
        self._watch = asyncio.timeout(None)
        self._is_over = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """The app, until it is done or stopped."""
        try:
            async with self._watch:
                await app(scope, self._next, self._tell)
        except TimeoutError:
            if not self._watch.expired():
                raise  # the app's own
        finally:
            self._is_over = True
        if self._watch.expired():
            self.refused = self.refused or 408

    async def _next(self) -> Message:
        if not self._is_whole and self._watch.when() is None:
            self._stop_in(self._timeout_s)
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        count = len(message.get("body", b""))
        self._came += count
        if self._came > self._most_bytes:
            await self._stop(413)
        if self._budget is not None:
            if not self._budget.take(count):
                await self._stop(503)
            self.taken += count
        if not message.get("more_body", False):
            self._is_whole = True
            self._stop_in(None)
        return message

    async def _stop(self, status: int) -> NoReturn:
        self.refused = status
        self._stop_in(0)
        while True:
            await asyncio.Event().wait()

    def _stop_in(self, seconds: float | None) -> None:
        """None: not at all. A task the app left behind may come here later than that makes sense."""
        if not self._is_over and not self._watch.expired():
            now = asyncio.get_running_loop().time()
            self._watch.reschedule(None if seconds is None else now + seconds)

    async def _tell(self, message: Message) -> None:
        if self.refused is not None and not self.has_answered:
            return  # what the app says to its being stopped
        self.has_answered = True
        await self._send(message)


def _declared(scope: Scope) -> int | None:
    """What Content-Length says, 0 without one; None where it is no number or says two things, or is not alone.

    With Transfer-Encoding too, a proxy may see another end of the body than we do: what lies between is a request.
    """
    names = {name for name, _ in scope["headers"]}
    if {b"content-length", b"transfer-encoding"} <= names:
        return None
    values = {value for name, value in scope["headers"] if name == b"content-length"}
    if not values:
        return 0
    value = values.pop()
    return int(value) if not values and value.isdigit() and len(value) < 20 else None
