"""How a demo without end comes to one."""

from __future__ import annotations

import signal
from contextlib import suppress

import httpx
import pytest

from tests.e2e.command import Command, Rayline

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(300)]


def test_ctrl_c_ends_a_demo_without_end_though_somebody_watches(rayline: Rayline, demo: Command, url: str) -> None:
    assert rayline.json("status", "--once", "--json")["running"]
    with httpx.stream("GET", f"{url}/v1/cameras/line-1/live", timeout=15) as watched:
        chunks = watched.iter_raw()
        assert next(chunks)
        demo.interrupt(signal.SIGINT)
        assert demo.finish(20) == 0, demo.output
        demo.assert_nothing_left()
        with suppress(httpx.HTTPError):  # cut off in mid-picture
            for _ in chunks:
                pass
    assert "parts_truth" in demo.stdout
    assert "Traceback" not in demo.output
    assert not rayline.note.exists()
