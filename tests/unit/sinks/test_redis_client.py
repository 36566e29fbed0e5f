"""The address, what may be shown of it, and what redis-py's errors mean."""

import asyncio

import pytest
from pydantic import ValidationError
from redis import exceptions

from pipeline.sinks import redis_client
from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from pipeline.sinks.redis_client import RedisLink, RedisSettings, connect, sink_error

SECRET = "pa55-w0rd"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://127.0.0.1:6379/0", "127.0.0.1:6379"),
        (f"redis://user:{SECRET}@redis.plant.example:6380/2", "redis.plant.example:6380"),
        (f"rediss://:{SECRET}@redis.plant.example", "redis.plant.example:6379"),
        ("redis://[::1]:7000", "[::1]:7000"),
        ("unix:///run/redis/redis.sock", "/run/redis/redis.sock"),
        ("embedded", "embedded"),
    ],
)
def test_what_may_be_shown_of_an_address(url: str, address: str) -> None:
    settings = RedisSettings(url=url)  # type: ignore[arg-type]
    assert settings.address == address
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "url",
    [
        "http://host",
        f"redis://:{SECRET}@",
        "redis://",
        f"redis://:{SECRET}@host:port",
        "redis://host:0",
        "localhost:6379",
        "",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValidationError, match="redis://host:port/db") as failed:
        RedisSettings(url=url)  # type: ignore[arg-type]
    assert SECRET not in str(failed.value) + repr(failed.value)


def test_an_embedded_server_must_be_started_before_it_is_connected_to() -> None:
    settings = RedisSettings(url="embedded")  # type: ignore[arg-type]
    assert settings.embedded
    with pytest.raises(ValueError, match="EmbeddedRedis"):
        connect(settings)
    assert settings.at("redis://127.0.0.1:7001/0").address == "127.0.0.1:7001"


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("refused"),
        exceptions.TimeoutError("late"),
        exceptions.BusyLoadingError("LOADING Redis is loading the dataset in memory"),
        exceptions.ReadOnlyError("You can't write against a read only replica."),
        exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        exceptions.ResponseError("Error running script (call to f_1): @user_script:51: -OOM command not allowed"),
        exceptions.ResponseError("CLUSTERDOWN Hash slot not served"),
        exceptions.ClusterDownError("Hash slot not served"),
        exceptions.MasterDownError("Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
        exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
    ],
    ids=lambda error: str(error)[:20],
)
def test_what_passes_by_itself_is_unavailable(error: exceptions.RedisError) -> None:
    assert type(sink_error(RedisSettings(), error)) is SinkUnavailable


@pytest.mark.parametrize(
    "error",
    [
        exceptions.AuthenticationError("WRONGPASS invalid username-password pair"),
        exceptions.NoPermissionError("this user has no permissions to run the 'evalsha' command"),
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        exceptions.ResponseError("unknown command 'EVALSHA'"),
    ],
    ids=lambda error: str(error)[:20],
)
def test_what_a_person_must_change_is_refused(error: exceptions.RedisError) -> None:
    assert type(sink_error(RedisSettings(), error)) is SinkRefused


def test_an_error_that_repeats_the_password_is_cleaned() -> None:
    settings = RedisSettings(url=f"redis://user:{SECRET}@host:7000/0")  # type: ignore[arg-type]
    error = sink_error(settings, exceptions.ConnectionError(f"cannot open redis://user:{SECRET}@host or {SECRET}"))
    assert SECRET not in str(error)
    assert "host:7000" in str(error)


class _Client:
    """Sends as redis-py does: through what swallows, on Python 3.11, a cancellation that comes as it is done."""

    async def send(self) -> None:
        await asyncio.wait_for(self._drain(), 1)

    async def _drain(self) -> None:
        pass

    async def aclose(self) -> None:
        await self.send()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_between_a_use_and_its_first_command_is_not_lost(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connected(_: RedisSettings) -> _Client:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # as Ctrl-C does, whose handler runs between any two instructions
        return _Client()

    async def use() -> None:
        async with RedisLink(RedisSettings()).use() as client:
            if fails:
                raise exceptions.ConnectionError("reset")
            await client.send()  # type: ignore[attr-defined]

    monkeypatch.setattr(redis_client, "connect", connected)
    task = asyncio.create_task(use())
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
