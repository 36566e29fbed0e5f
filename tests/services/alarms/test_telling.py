"""Alarms reach people: by webhook and e-mail, signed, again where it failed, and once over restarts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.alarms import notices, store
from pipeline.alarms.channels import Channel, NotTaken
from pipeline.alarms.mail import Mail
from pipeline.alarms.mail_settings import EmailSettings
from pipeline.alarms.notices import What
from pipeline.alarms.sending import Sender
from pipeline.alarms.values import AlarmKey, Kind, Severity
from pipeline.alarms.webhook import Webhook
from pipeline.alarms.webhook_settings import WebhookSettings
from pipeline.history.database import Database
from tests.redis_server import free_port
from tests.services.alarms.receivers import Mailbox, certificate, hook, mail_server
from tests.unit.alarms.history import history

pytestmark = pytest.mark.services

NOW = 1_800_000_000.0


class Clock:
    """Goes on when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with history(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


def raised(database: Database, channel: str, camera: str = "cam-1", detail: str = "black") -> None:
    with database.write() as connection:
        key = AlarmKey(Kind.CAMERA_BLIND, "filling", camera)
        alarm = store.raise_alarm(connection, key, Severity.CRITICAL, detail, int(NOW * 1e3))
        assert alarm is not None
        notices.write(connection, alarm, What.RAISED, [(channel, 100)], int(NOW * 1e3))


def webhook(url: str, **settings: object) -> Webhook:
    return Webhook("chat", WebhookSettings.model_validate({"url": url, **settings}), "http://wall:8080/", Clock())


def mail(box: Mailbox, **settings: object) -> Mail:
    its = {"host": "127.0.0.1", "port": box.port, "tls": "none", "sender": "line@example.com", "to": ["qa@example.com"]}
    return Mail("email", EmailSettings.model_validate(its | settings), "http://wall:8080/")


async def steps(channel: Channel, database: Database, clock: Clock, *waits_s: float) -> None:
    """One step of a sender, and one more after each wait."""
    sender = Sender(channel, database, clock)
    try:
        await sender.step()
        for wait_s in waits_s:
            clock.now += wait_s
            await sender.step()
    finally:
        await channel.close()


async def test_a_webhook_is_told_everything_at_once_and_signed(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("Bearer T0K3N\n")
    key = base64.b64encode(b"k" * 32).decode()
    raised(database, "chat")
    raised(database, "chat", "cam-2")
    async with hook() as receiver:
        its = {"secret": f"whsec_{key}", "header_files": {"Authorization": str(tmp_path / "token")}}
        await steps(webhook(receiver.url, **its), database, clock, 60, 600)
    (got,) = receiver.received
    assert got.told == [("raised", "cam-1"), ("raised", "cam-2")]
    assert got.headers["Authorization"] == "Bearer T0K3N"
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    wanted = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{wanted}"


async def test_a_webhook_that_fails_is_tried_again_and_the_same_is_said(database: Database, clock: Clock) -> None:
    raised(database, "chat")
    async with hook(503, 429) as receiver:
        await steps(webhook(receiver.url), database, clock, 0.5, 0.6, 1.0, 1.1)
    assert [got.headers["webhook-id"] for got in receiver.received] == ["rayline-1-1"] * 3


async def test_a_webhook_that_refuses_is_told_the_next_all_the_same(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    raised(database, "chat")
    async with hook(410) as receiver:
        channel = webhook(receiver.url)
        await steps(channel, database, clock)
        raised(database, "chat", "cam-2")
        await steps(channel, database, clock)
    assert [got.told for got in receiver.received] == [[("raised", "cam-1")], [("raised", "cam-2")]]
    assert f"webhook chat at http://127.0.0.1:{receiver.port} answered 410" in caplog.text


async def test_a_redirect_is_not_followed(database: Database, clock: Clock) -> None:
    raised(database, "chat")
    async with hook(302) as receiver:
        await steps(webhook(receiver.url), database, clock, 60)
    assert [got.path for got in receiver.received] == ["/hooks/T0K3N"]


async def test_a_message_is_given_up_after_its_tries_and_no_secret_is_logged(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    raised(database, "chat")
    url = f"http://user:hunter2@127.0.0.1:{free_port()}/T0K3N?key=s3cret"
    await steps(webhook(url, tries=3, headers={"X-Key": "T0K3N"}), database, clock, 2, 4, 600)
    assert "1 alarms not told after 3 tries" in caplog.text
    assert not any(secret in caplog.text for secret in ("hunter2", "T0K3N", "s3cret"))


async def test_what_was_under_way_at_a_crash_is_told_again_once(database: Database, clock: Clock) -> None:
    raised(database, "chat")
    with database.write() as connection:  # taken by a process that died before it knew of the answer
        notices.take(connection, "chat", int(NOW * 1e3), lease_s=30)
    async with hook() as receiver:
        await steps(webhook(receiver.url), database, clock, 29, 1.1, 60)
    assert len(receiver.received) == 1


async def test_a_missing_secret_file_holds_the_message_until_it_is_there(
    database: Database, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raised(database, "chat")
    async with hook() as receiver:
        channel = webhook(receiver.url, secret_file=str(tmp_path / "secret"))
        await steps(channel, database, clock)
        assert "secret_file" in caplog.text
        assert receiver.received == []
        (tmp_path / "secret").write_text("a secret that is long enough")
        await steps(channel, database, clock, 1.1)
    assert len(receiver.received) == 1


async def test_a_mail_says_what_where_and_since_when(database: Database, clock: Clock) -> None:
    raised(database, "email", detail="no sight for 12 s: the picture is black\r\nBcc: all@example.com")
    with mail_server() as box:
        await steps(mail(box, to=["qa@example.com", "lead@example.com"]), database, clock, 60)
    (got,) = box.mails
    assert got["Subject"] == "[Rayline] CRITICAL filling / cam-1: camera blind"
    assert got["Auto-Submitted"] == "auto-generated"
    assert box.receivers == [["qa@example.com", "lead@example.com"]]
    text = got.get_payload()
    assert "raised 2027-01-15T08:00:00.000Z" in text
    assert "http://wall:8080/" in text
    assert got["Bcc"] is None


async def test_a_mail_goes_by_starttls_and_login(database: Database, clock: Clock, tmp_path: Path) -> None:
    made = certificate(tmp_path)
    (tmp_path / "password").write_text("hunter2\n")
    raised(database, "email")
    with mail_server(made) as box:
        login = {"user": "line", "password_file": tmp_path / "password"}
        stranger = mail(box, tls="starttls", **login)
        with pytest.raises(NotTaken, match="certificate"):
            await stranger.send(_waiting(database))
        await steps(mail(box, tls="starttls", ca_file=made[0], **login), database, clock)
    assert (len(box.mails), box.logins) == (1, [b"line"])


async def test_a_server_without_tls_gets_neither_password_nor_mail(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    raised(database, "email")
    with mail_server() as box:
        await steps(mail(box, tls="starttls", user="line", password="hunter2"), database, clock)
    assert (box.mails, box.logins) == ([], [])
    assert "SMTPNotSupportedError" in caplog.text


async def test_a_mail_refused_for_now_is_sent_later_and_one_refused_for_good_is_not(
    database: Database, clock: Clock
) -> None:
    raised(database, "email")
    with mail_server() as box:
        box.refuse = ["451 later", "554 never"]
        await steps(mail(box), database, clock, 1.1, 600)
        assert box.mails == []
        raised(database, "email", "cam-2")
        await steps(mail(box), database, clock)
    assert [one["Subject"] for one in box.mails] == ["[Rayline] CRITICAL filling / cam-2: camera blind"]


def _waiting(database: Database) -> list[notices.Notice]:
    with database.read() as connection:
        (alarm,) = store.holding(connection)
    return [notices.Notice(1, What.RAISED, int(NOW * 1e3), 1, alarm)]
