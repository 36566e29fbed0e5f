"""Calls that wait go together, in order, and no more at once than may."""

from __future__ import annotations

import asyncio

from pipeline.deployments.turns import Turns


class Calls:
    """Calls that go through Turns and end when the test says so."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.inside: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str, frames: int = 1) -> None:
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._call(name, frames))
        await settle()

    async def end(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()
        await settle()

    async def _call(self, name: str, frames: int) -> None:
        async with self._turns.turn(frames):
            self.inside.append(name)
            await self.ends[name].wait()
        self.inside.remove(name)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_waits_goes_together_once_a_place_is_free() -> None:
    calls = Calls(Turns(batches=2, most=8))
    await calls.begin("a")
    await calls.begin("b")
    await calls.begin("c")
    await calls.begin("d")
    assert calls.inside == ["a", "b"]
    await calls.end("a")
    assert calls.inside == ["b", "c", "d"]


async def test_what_comes_in_one_moment_goes_together() -> None:
    calls = Calls(Turns(batches=1, most=8))
    await calls.begin("a", "b", "c")
    assert calls.inside == ["a", "b", "c"]


async def test_a_wave_ends_with_its_last_call_and_holds_no_more_frames_than_may_be() -> None:
    calls = Calls(Turns(batches=1, most=8))
    await calls.begin("a", "b", "c", frames=4)
    assert calls.inside == ["a", "b"]
    await calls.end("a")
    assert calls.inside == ["b"]
    await calls.end("b")
    assert calls.inside == ["c"]


async def test_a_call_of_more_frames_than_a_wave_goes_alone() -> None:
    calls = Calls(Turns(batches=1, most=4))
    await calls.begin("a")
    await calls.begin("b", frames=9)
    await calls.begin("c")
    await calls.end("a")
    assert calls.inside == ["b"]
    await calls.end("b")
    assert calls.inside == ["c"]


async def test_who_leaves_gives_the_place_back_wherever_it_stood() -> None:
    calls = Calls(Turns(batches=1, most=1))
    await calls.begin("inside", "waits", "stays")
    calls.tasks["waits"].cancel()
    calls.tasks["inside"].cancel()
    await settle()
    assert calls.tasks["waits"].cancelled()
    assert not calls.tasks["stays"].done()
    await calls.end("stays")
    assert calls.tasks["stays"].done()
    turns = Turns(batches=1, most=1)

    async def turn() -> None:
        async with turns.turn(1):
            pass

    just_let_in = asyncio.create_task(turn())
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # let in, and not run since
    just_let_in.cancel()
    await settle()
    await asyncio.wait_for(turn(), 60)
