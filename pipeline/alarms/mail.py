"""Tells people by e-mail."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate

from pipeline.alarms.channel_settings import AlarmsMisconfigured
from pipeline.alarms.channels import NotTaken, Refused
from pipeline.alarms.mail_settings import EmailSettings, MailTls
from pipeline.alarms.messages import mail_subject, mail_text
from pipeline.alarms.notices import Notice


class Mail:
    """One mail server; each message has a connection of its own."""

    def __init__(self, name: str, settings: EmailSettings, page_url: str | None) -> None:
        self.name = name
        self.settings = settings
        self._page_url = page_url

    async def send(self, notices: Sequence[Notice]) -> None:
        """One mail of all of them. Raises NotTaken, Refused."""
        await asyncio.to_thread(self._send, self._message(notices))

    async def close(self) -> None:
        """It holds nothing."""

    def _message(self, notices: Sequence[Notice]) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = " ".join(mail_subject(notices).split())
        message["From"] = self.settings.sender
        message["To"] = ", ".join(self.settings.to)
        message["Date"] = formatdate(notices[-1].at_ms / 1e3)
        domain = self.settings.sender.rpartition("@")[2]
        # The same when it is sent again: a mail program shows it once.
        message["Message-ID"] = f"<rayline-{notices[0].id}-{notices[-1].id}-{notices[0].alarm.raised_ms}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is to answer it
        message.set_content(mail_text(notices, self._page_url))
        return message

    def _send(self, message: EmailMessage) -> None:
        told = f"mail server {self.settings.address}"
        try:
            with self._connected() as server:
                refused = server.send_message(message)
        except AlarmsMisconfigured as exc:
            raise NotTaken(str(exc)) from None
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as exc:
            codes = _codes(exc)
            error = Refused if all(500 <= code < 600 for code in codes) else NotTaken
            raise error(f"{told} refused the message: {', '.join(map(str, codes))}") from None
        except smtplib.SMTPAuthenticationError as exc:
            raise NotTaken(f"{told} refused the login: {exc.smtp_code}") from None
        except smtplib.SMTPException as exc:  # what servers say may quote anything
            raise NotTaken(f"{told}: {type(exc).__name__}") from None
        except OSError as exc:
            raise NotTaken(f"{told}: {exc.strerror or type(exc).__name__}") from None
        if refused:
            raise Refused(f"{told} refused {len(refused)} of {len(self.settings.to)} receivers, the others have it")

    def _connected(self) -> smtplib.SMTP:
        settings = self.settings
        server: smtplib.SMTP
        if settings.tls is MailTls.TLS:
            context = self._context()
            server = smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_s, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        try:
            if settings.tls is MailTls.STARTTLS:
                server.starttls(context=self._context())  # raises where the server has none
            if (login := settings.login()) is not None:
                server.login(*login)
        except BaseException:
            server.close()
            raise
        return server

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.settings.ca_file)
        except OSError as exc:
            raise AlarmsMisconfigured(f"email: ca_file {self.settings.ca_file}: {exc.strerror or 'unusable'}") from None


def _codes(exc: smtplib.SMTPRecipientsRefused | smtplib.SMTPResponseException) -> list[int]:
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        return sorted({code for code, _ in exc.recipients.values()})
    return [exc.smtp_code]
