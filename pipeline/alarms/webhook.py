"""Tells an HTTP server, signed as Standard Webhooks are (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

import aiohttp

from pipeline.alarms.channel_settings import AlarmsMisconfigured
from pipeline.alarms.channels import NotTaken, Refused
from pipeline.alarms.messages import webhook_body
from pipeline.alarms.notices import Notice
from pipeline.alarms.webhook_settings import WebhookSettings

_TRY_AGAIN = (408, 425, 429)  # and all from 500 on: it is not the message
_PREFIX = "whsec_"


class Webhook:
    """One address. Its answer is looked at for its status alone."""

    def __init__(
        self, name: str, settings: WebhookSettings, page_url: str | None, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = name
        self.settings = settings
        self._page_url = page_url
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notices: Sequence[Notice]) -> None:
        """One POST of all of them. Raises NotTaken, Refused."""
        body = webhook_body(notices, self._page_url)
        try:
            headers = self._headers(f"rayline-{notices[0].id}-{notices[-1].id}", body)
            status = await self._post(body, headers)
        except AlarmsMisconfigured as exc:  # a person may put it right meanwhile
            raise NotTaken(f"webhook {self.name}: {exc}") from None
        except TimeoutError:
            raise NotTaken(f"{self._told} gave no answer within {self.settings.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as exc:  # their texts hold the address
            raise NotTaken(f"{self._told}: {type(exc).__name__}") from None
        if 200 <= status < 300:
            return
        if status >= 500 or status in _TRY_AGAIN:
            raise NotTaken(f"{self._told} answered {status}")
        raise Refused(f"{self._told} answered {status}")

    async def close(self) -> None:
        """Closes its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _told(self) -> str:
        return f"webhook {self.name} at {self.settings.address}"

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        if self._session is None:
            # Nothing of the environment: neither a proxy nor a .netrc may see or answer what is sent.
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        timeout = aiohttp.ClientTimeout(total=self.settings.timeout_s)
        url = self.settings.url.get_secret_value()
        # A redirect could lead into the plant's network, with our headers.
        async with self._session.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            return answer.status

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        headers = {**self.settings.all_headers(), "Content-Type": "application/json", "webhook-id": message_id}
        at = str(int(self._clock()))
        secret = self.settings.signing_secret()
        if secret is not None:
            headers["webhook-signature"] = signature(secret, message_id, at, body)
        return headers | {"webhook-timestamp": at}


def signature(secret: str, message_id: str, at: str, body: bytes) -> str:
    """The header `webhook-signature` of a message sent at `at`, whole Unix seconds."""
    signed = b".".join((message_id.encode(), at.encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise AlarmsMisconfigured("its secret begins with whsec_, and what follows is no base64") from None
