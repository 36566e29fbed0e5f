"""Waiting for a side that is away: told once, louder where it will not heal by itself, and when it is over."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pipeline.absence import Absence
from pipeline.sinks.errors import SinkRefused, SinkUnavailable

logger = logging.getLogger("its")


async def test_waiting_is_told_once_and_again_where_a_person_must_act(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = [100.0]
    absence, ending = Absence("relay plant", logger, lambda: now[0]), asyncio.Event()
    ending.set()  # nobody waits here
    absence.is_over()
    assert (absence.lasts, caplog.records) == (False, [])
    for why, needs_a_person in ((SinkUnavailable("gone"), False), ("b:9: gone too", False), ("b:9: no", True)):
        assert await absence.wait(why, ending, needs_a_person=needs_a_person) is True
    await absence.wait(SinkRefused("wrong password"), ending)
    assert absence.lasts
    now[0] += 2.5
    absence.is_over()
    assert not absence.lasts
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "relay plant waits, nothing is lost: gone"),
        ("ERROR", "relay plant waits, nothing is lost: b:9: no"),
        ("INFO", "relay plant goes on after 2.5 s"),
    ]


async def test_a_refusal_of_redis_is_an_error_at_once(caplog: pytest.LogCaptureFixture) -> None:
    ending = asyncio.Event()
    ending.set()
    await Absence("the history", logger).wait(SinkRefused("wrong password"), ending)
    assert [one.levelname for one in caplog.records] == ["ERROR"]
