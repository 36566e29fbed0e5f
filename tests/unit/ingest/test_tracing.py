"""Which batches are traced, and what the reader notes on them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from pipeline.ingest.tracing import Tracing
from pipeline.sinks.errors import SinkUnavailable
from stages.trace import Stage, Trace
from stages.values import Detected, ModelInfo
from tests.fakes import ManualClock

MODEL = ModelInfo("m", "1", "", ())


def chosen(tracing: Tracing, batches: int = 10_000) -> list[int]:
    return [number for number in range(batches) if tracing.begin(number) is not None]


@pytest.mark.parametrize(("sample", "expected"), [(0.0, 0), (0.01, 100), (0.25, 2500), (1.0, 10_000)])
def test_the_share_that_is_asked_for_is_traced(sample: float, expected: int) -> None:
    assert len(chosen(Tracing("s", sample))) == pytest.approx(expected, abs=2)


def test_the_choice_is_the_same_each_time_spread_evenly_and_another_for_each_shard() -> None:
    first = chosen(Tracing("s", 0.01))
    assert first == chosen(Tracing("s", 0.01))
    assert first != chosen(Tracing("t", 0.01))
    assert all(b - a < 200 for a, b in pairwise(first))
    assert len({b - a for a, b in pairwise(first)}) > 1  # beats with nothing that comes every so many batches


def test_what_comes_back_and_waits_for_its_turn_is_noted_where_it_is_traced() -> None:
    clock = ManualClock(100.0)
    tracing = Tracing("s", 1.0, clock)
    trace = tracing.begin(0)
    assert trace == Trace(100.0)
    clock.advance(2)
    detected = tracing.answered(Detected((), (), MODEL, trace=trace))
    clock.advance(3)
    detected = tracing.has_turn(detected)
    assert detected is not None
    assert detected.trace == Trace(100.0).then(Stage.RETURN, 102.0, "ingest s").then(Stage.TURN, 105.0, "ingest s")


@pytest.mark.parametrize("detected", [None, Detected((), (), MODEL)])
def test_what_is_not_traced_goes_through_as_it_is(detected: Detected | None) -> None:
    tracing = Tracing("s", 1.0)
    assert tracing.has_turn(tracing.answered(detected)) is detected


@pytest.mark.parametrize(
    ("settled", "asked", "expected"),
    [
        pytest.param(0.0, 0.5, 500, id="somebody looks"),
        pytest.param(0.5, 0.1, 500, id="less than the settled share is nobody's to ask"),
        pytest.param(0.5, None, 500, id="nobody asks"),
        pytest.param(0.5, SinkUnavailable("away"), 500, id="nobody can be asked"),
    ],
)
async def test_more_is_traced_while_somebody_asks(
    settled: float, asked: float | SinkUnavailable | None, expected: int
) -> None:
    tracing, heard = Tracing("s", settled), asyncio.Event()

    async def ask() -> float | None:
        heard.set()
        if isinstance(asked, SinkUnavailable):
            raise asked
        return asked

    following = asyncio.create_task(tracing.follow(ask))
    await heard.wait()
    await asyncio.sleep(0)
    assert len(chosen(tracing, 1000)) == pytest.approx(expected, abs=2)
    assert not following.done()
    following.cancel()
