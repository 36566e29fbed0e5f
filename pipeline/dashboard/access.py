"""Whom the page lets in: who has a key or token of the API, for as long as that holds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from pipeline.control.access.api_keys import PREFIX
from pipeline.control.access.credential import LONGEST
from pipeline.control.access.key_check import KeyCheck
from pipeline.control.access.loopback import OpenToLoopback
from pipeline.control.access.refusals import BadCredential
from pipeline.control.access.roles import Principal
from pipeline.control.access.settings import AuthSettings
from pipeline.control.access.tokens import TokenCheck
from pipeline.control.problems import ApiError
from pipeline.control.rates.limiter import RateLimits
from pipeline.control.rates.settings import RateLimitSettings
from pipeline.dashboard.session import LOOPBACK_OWNER, Session, Sessions
from pipeline.dashboard.settings import DashboardSettings
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_pool import RedisPool

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig

logger = logging.getLogger(__name__)

_NOT_NOW = 503  # of an ApiError: nobody can say whether it holds


class Access:
    """Recognises people, and looks again whether what they came with still holds."""

    def __init__(
        self, settings: DashboardSettings, auth: AuthSettings, rates: RateLimitSettings, redis: RedisPool
    ) -> None:
        """Raises TokensMisconfigured where a file that `auth` names cannot be used."""
        self.sessions = Sessions(settings.session_hours, settings.max_sessions)
        self._keys = KeyCheck(auth.keys, redis)
        self._tokens = TokenCheck(auth.own, auth.provider)
        self._loopback = OpenToLoopback() if settings.open_to_loopback else None
        self._rates = RateLimits(rates, redis)

    @property
    def is_open(self) -> bool:
        """Everybody on this machine is let in."""
        return self._loopback is not None

    async def log_in(self, credential: str, address: str) -> tuple[str, Session]:
        """A new session and its id. Raises ApiError (401, 403, 429, 503), SinkUnavailable."""
        await self._rates.of_address(address)
        try:
            principal = await self._recognise(credential)
        except BadCredential:
            await self._rates.failed(address)
            raise
        logger.info("%s (%s) logged in from %s", principal.name, principal.role, address)
        return self.sessions.begin(principal, credential)

    async def still(self, session_id: str, session: Session) -> bool:
        """Whether it lasts; ends it where its key was revoked or its token has run out.

        While nobody can say, it lasts: who could revoke a key could not do so either.
        """
        try:
            session.principal = await self._recognise(session.credential)
        except SinkUnavailable:
            return True
        except ApiError as exc:
            if exc.status == _NOT_NOW:
                return True
            self.sessions.end(session_id)
            logger.info("the session of %s is over: %s", session.principal.name, exc)
            return False
        return True

    async def visitor(self, session_id: str | None, connection: HTTPConnection) -> Visitor | None:
        """Who makes this request; None where nobody is logged in."""
        session = self.sessions.find(session_id) if session_id else None
        if session is not None and session_id and await self.still(session_id, session):
            return Visitor(session.owner, session_id, session=session)
        if self._loopback is None:
            return None
        try:
            return Visitor(LOOPBACK_OWNER, None, principal=await self._loopback.principal(connection))
        except ApiError as exc:
            logger.info("not let in as this machine: %s", exc)
            return None

    async def _recognise(self, credential: str) -> Principal:
        if not credential or len(credential) > LONGEST:
            raise BadCredential("it is empty or too long")
        if credential.startswith(PREFIX):
            return await self._keys.principal(credential)
        return await self._tokens.principal(credential)


class Visitor:
    """Who looks at a page: somebody with a session, or this machine's own where it is open to that."""

    def __init__(
        self, owner: str, session_id: str | None, *, session: Session | None = None, principal: Principal | None = None
    ) -> None:
        self.owner = owner  # the same for all requests of one session
        self.session_id = session_id
        self.session = session
        self._principal = principal

    @property
    def is_over(self) -> bool:
        """True once the session has ended."""
        return self.session is not None and self.session.over.is_set()

    @property
    def principal(self) -> Principal:
        """As last looked up."""
        found = self.session.principal if self.session is not None else self._principal
        assert found is not None  # noqa: S101 - one of the two was given
        return found


def access_for(config: RaylineConfig, settings: DashboardSettings, redis: RedisPool) -> Access:
    """By the API's own users, whether or not the API runs. Raises TokensMisconfigured."""
    api = config.api
    auth = api.auth if api is not None else AuthSettings()
    rates = api.rate_limits if api is not None else RateLimitSettings()
    return Access(settings, auth, rates, redis)
