"""Who calls: by a key, by a signed token, or, where it is open to this machine, by being on it."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from pipeline.control.access.api_keys import PREFIX
from pipeline.control.access.credential import credential_of
from pipeline.control.access.key_check import KeyCheck
from pipeline.control.access.loopback import OpenToLoopback
from pipeline.control.access.refusals import nobody
from pipeline.control.access.roles import Principal
from pipeline.control.access.tokens import TokenCheck
from pipeline.control.settings import ApiSettings
from pipeline.sinks.redis_pool import RedisPool


class CredentialCheck:
    """The Authenticator: what was sent counts, and only where nothing was sent, the place it came from."""

    def __init__(self, keys: KeyCheck, tokens: TokenCheck, without: OpenToLoopback | None = None) -> None:
        self._keys = keys
        self._tokens = tokens
        self._without = without

    async def principal(self, connection: HTTPConnection) -> Principal:
        """See Authenticator."""
        credential = credential_of(connection)
        if credential is None:
            if self._without is None:
                raise nobody()
            return await self._without.principal(connection)
        if credential.startswith(PREFIX):
            return await self._keys.principal(credential)
        return await self._tokens.principal(credential)


def authenticator_for(settings: ApiSettings, redis: RedisPool) -> CredentialCheck:
    """By the settings. Raises TokensMisconfigured where a file they name cannot be used."""
    keys = KeyCheck(settings.auth.keys, redis)
    tokens = TokenCheck(settings.auth.own, settings.auth.provider)
    return CredentialCheck(keys, tokens, OpenToLoopback() if settings.open_to_loopback else None)
