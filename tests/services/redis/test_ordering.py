"""The script's comparison is the one `Position` makes, for any positions."""

import itertools

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams, WriteStatus
from stages.values import Position
from tests.redis_server import RedisServer

pytestmark = pytest.mark.services

_cameras = itertools.count()
_sources = st.sampled_from(["live", "file:a", "file:a|0000000000000001", "kafka:t/0", "kafka:t/1"])
_numbers = st.one_of(st.integers(0, 3), st.integers(0, 10**13), st.integers(10**15, 10**18))
_positions = st.builds(Position, _sources, _numbers, _numbers)


def expected(stored: Position | None, prev: Position | None, new: Position) -> WriteStatus:
    """The rule in words: never back, a live epoch is a fence, else only on top of what the writer knows."""
    if stored is not None and stored.source == new.source:
        if new.is_live and stored.major > new.major:
            return WriteStatus.CONFLICT
        if stored >= new:
            return WriteStatus.ALREADY
    return WriteStatus.WRITTEN if stored == prev else WriteStatus.CONFLICT


def _encoded(position: Position | None) -> str | None:
    return None if position is None else position.encode()


@given(
    steps=st.lists(st.tuples(_positions, st.one_of(st.just("stored"), st.none(), _positions)), min_size=1, max_size=8)
)
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_sequence_of_writes_is_answered_as_positions_compare(
    server: RedisServer, steps: list[tuple[Position, Position | str | None]]
) -> None:
    camera, stored = f"c{next(_cameras)}", None
    async with RedisStreams(RedisSettings(url=server.url)) as streams:
        for new, built_on in steps:
            prev = stored if isinstance(built_on, str) else built_on
            (outcome,) = await streams.write([CameraWrite(camera, "order", _encoded(prev), new.encode())])
            assert outcome.status is expected(stored, prev, new)
            stored = new if outcome.status is WriteStatus.WRITTEN else stored
            assert outcome.stored == _encoded(stored)


@given(a=_positions, b=_positions)
def test_an_encoded_position_comes_back(a: Position, b: Position) -> None:
    assert Position.decode(a.encode()) == a
    assert (a == b) == (a.encode() == b.encode())
