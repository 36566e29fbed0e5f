"""Every change of what is to run is in the audit log: who, what, before and after, and no password."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from pipeline.config_errors import ConfigError
from pipeline.orchestrate.audit import AuditLog, Author, Change
from pipeline.orchestrate.desired_store import DesiredConflict, DesiredStore, at_version
from tests.unit.config.site import SITE, config_from

pytestmark = pytest.mark.services

ANNA = Author("anna", "key", "engineer", "192.0.2.7", "req-1")


@pytest.fixture
async def client(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url) as client:
        await client.flushdb()
        yield client


@pytest.fixture
async def store(client: Redis) -> DesiredStore:
    store = DesiredStore(client, clock=lambda: 5.0)
    await store.publish(config_from(SITE), Author("root", "up"))
    return store


async def test_a_change_is_told_with_who_made_it_and_what_was_before(store: DesiredStore, client: Redis) -> None:
    await store.set("cam-1", {"fps": 5}, by=ANNA)
    (newest, published), _ = await AuditLog(client).read(10)
    assert (newest.by.name, newest.by.kind, newest.by.role, newest.by.address) == (
        "anna",
        "key",
        "engineer",
        "192.0.2.7",
    )
    assert (newest.request_id, newest.action, newest.target, newest.at) == ("req-1", "camera.set", "cam-1", 5.0)
    assert newest.line == (await store.read()).line_of("cam-1")
    assert newest.changes == {"fps": Change(old=15, new=5)}
    assert newest.version == 2
    assert (published.action, published.by.kind, published.version) == ("config.publish", "up", 1)


async def test_pausing_is_told_as_such(store: DesiredStore, client: Redis) -> None:
    await store.pause("cam-1", by=ANNA)
    assert (await AuditLog(client).read(1))[0][0].changes == {"paused": Change(old=False, new=True)}


async def test_no_password_comes_into_it(store: DesiredStore, client: Redis) -> None:
    recipe = (await store.read()).config.cameras["gate"].recipe
    await store.add("new", {"url": "rtsp://user:hunter2@192.0.2.9/1", "recipe": recipe})
    await store.set("new", {"url": "rtsp://user:hunter3@192.0.2.9/1"})
    await store.set("new", {"options": {"headers": "Authorization: hunter4"}})
    await store.remove("new")
    stored = await client.xrange("rayline:audit")
    assert b"hunter" not in b"".join(fields[b"data"] for _, fields in stored)
    entries, _ = await AuditLog(client).read(4)
    assert entries[2].changes == {
        "url": Change(old="rtsp://user:***@192.0.2.9/1", new="rtsp://user:***@192.0.2.9/1"),
    }
    assert entries[1].changes == {"options": Change(old={}, new={"headers": "***"})}
    assert entries[0].changes["url"] == Change(old="rtsp://user:***@192.0.2.9/1", new=None)


async def test_what_was_refused_is_no_change(store: DesiredStore, client: Redis) -> None:
    with pytest.raises(DesiredConflict):
        await store.pause("gate", at_version(7), ANNA)
    with pytest.raises(ConfigError):
        await store.set("gate", {"fps": -1}, by=ANNA)
    assert [entry.action for entry in (await AuditLog(client).read(10))[0]] == ["config.publish"]


async def test_it_is_read_from_the_newest_on_in_pieces(store: DesiredStore, client: Redis) -> None:
    for camera in ("gate", "cam-1", "cam-2"):
        await store.pause(camera)
    first, older = await AuditLog(client).read(2)
    assert older == first[-1].id
    rest, none = await AuditLog(client).read(2, before=older)
    assert none is None
    assert [entry.target for entry in [*first, *rest]] == ["cam-2", "cam-1", "gate", ""]


async def test_an_entry_of_another_version_hides_no_other(store: DesiredStore, client: Redis) -> None:
    await client.xadd("rayline:audit", {"data": "{}"})
    await store.pause("gate")
    assert [entry.action for entry in (await AuditLog(client).read(10))[0]] == ["camera.pause", "config.publish"]


async def test_only_the_newest_are_kept(client: Redis) -> None:
    store = DesiredStore(client)
    await store.publish(config_from(SITE + "observe: {audit_entries: 100}\n"))
    async with client.pipeline() as pipe:
        for _ in range(300):
            pipe.xadd("rayline:audit", {"data": "{}"})
        await pipe.execute()
    await store.pause("gate")
    assert 100 <= await client.xlen("rayline:audit") < 250
