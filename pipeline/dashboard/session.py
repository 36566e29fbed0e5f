"""Who is logged in: sessions held on the server, bounded in number and time, known by a random id in a cookie."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.control.access.roles import Principal

_ID_BYTES = 32
LOOPBACK_OWNER = "loopback"


@dataclass(slots=True)
class Session:
    """One login. What somebody logged in with is kept in memory alone, to ask again whether it still holds."""

    principal: Principal
    credential: str = field(repr=False)
    ends_at: float  # by the clock of Sessions
    owner: str  # names it where its id must not stand
    sockets: int = 0  # open ones
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Sessions:
    """All logins of this process; they end with it."""

    def __init__(self, hours: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime_s = hours * 3600.0
        self._most = most
        self._clock = clock
        self._held: OrderedDict[str, Session] = OrderedDict()  # by id, the one longest not used first

    def begin(self, principal: Principal, credential: str) -> tuple[str, Session]:
        """A new login and the id that its cookie holds. The one longest not used ends where there are too many.

        An open page is use, whatever it asks for: where every other login has one, the first of them ends.
        """
        session_id = secrets.token_urlsafe(_ID_BYTES)
        session = Session(principal, credential, self._clock() + self._lifetime_s, owner_of(session_id))
        self._held[session_id] = session
        while len(self._held) > self._most:
            *others, _ = self._held
            self.end(next((other for other in others if not self._held[other].sockets), others[0]))
        return session_id, session

    def find(self, session_id: str) -> Session | None:
        """The login with this id, if it lasts."""
        session = self._held.get(session_id)
        if session is None:
            return None
        if self._clock() >= session.ends_at:
            self.end(session_id)
            return None
        self._held.move_to_end(session_id)
        return session

    @contextmanager
    def page_open(self, session_id: str, session: Session) -> Iterator[None]:
        """As long as the page's socket is."""
        session.sockets += 1
        try:
            yield
        finally:
            session.sockets -= 1
            if session_id in self._held:
                self._held.move_to_end(session_id)

    def end(self, session_id: str) -> None:
        """It is over, and whoever waits for that hears of it; may be said more than once."""
        session = self._held.pop(session_id, None)
        if session is not None:
            session.over.set()

    def all(self) -> dict[str, Session]:
        """Those that last, by id; those whose time is up end here."""
        now = self._clock()
        for session_id in [session_id for session_id, session in self._held.items() if now >= session.ends_at]:
            self.end(session_id)
        return dict(self._held)


class Forms:
    """Tokens that a form of ours carries and one from elsewhere cannot know: bound to a cookie, for this process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(_ID_BYTES)

    def token(self, cookie: str) -> str:
        """What the form is to carry where its sender's cookie is this."""
        return hmac.new(self._secret, cookie.encode(errors="replace"), hashlib.sha256).hexdigest()

    def is_ours(self, cookie: str | None, given: str | None) -> bool:
        """True where the form was made for the sender of this cookie."""
        if not cookie or not given:
            return False
        return hmac.compare_digest(self.token(cookie).encode(), given.encode(errors="replace"))


def new_cookie() -> str:
    """Something nobody guesses."""
    return secrets.token_urlsafe(_ID_BYTES)


def owner_of(session_id: str) -> str:
    """A name of the session that opens nothing."""
    return hashlib.sha256(session_id.encode()).hexdigest()[:16]
