from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from pipeline.dashboard.inspections.thumbnails import Thumbnails


@pytest.fixture
def thumbnails() -> Iterator[Thumbnails]:
    made = Thumbnails(max_bytes=250)
    yield made
    made.close()


class Maker:
    """Counts; waits to be let go."""

    def __init__(self, size: int = 100, *, waits: bool = False) -> None:
        self.made = 0
        self._data = bytes(size)
        self.go = threading.Event()
        if not waits:
            self.go.set()

    def __call__(self) -> bytes:
        assert self.go.wait(5)
        self.made += 1
        return self._data


def refuse() -> bytes:
    raise OSError("gone")


async def test_each_is_made_once(thumbnails: Thumbnails) -> None:
    make = Maker()
    assert await thumbnails.get("a", make) == await thumbnails.get("a", make)
    assert make.made == 1


async def test_two_who_ask_at_once_wait_for_one_making_and_one_may_leave(thumbnails: Thumbnails) -> None:
    make = Maker(waits=True)
    first, second = (asyncio.ensure_future(thumbnails.get("a", make)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    make.go.set()
    assert len(await second) == 100
    assert make.made == 1


async def test_the_one_longest_not_asked_for_goes_where_memory_ends(thumbnails: Thumbnails) -> None:
    makers = {key: Maker() for key in "abc"}
    for key in ("a", "b", "a", "c", "a", "b"):  # c pushes b out, for a was asked for since
        await thumbnails.get(key, makers[key])
    assert {key: make.made for key, make in makers.items()} == {"a": 1, "b": 2, "c": 1}


async def test_a_failure_is_told_and_tried_again(thumbnails: Thumbnails) -> None:
    with pytest.raises(OSError, match="gone"):
        await thumbnails.get("a", refuse)
    assert len(await thumbnails.get("a", Maker())) == 100
