"""The demo's faces: its lines, its config beside another demo, and its end by Ctrl-C."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.demo import run
from pipeline.demo.run import _cameras, _config, _line_of, run_demo
from pipeline.observe.settings import ObserveSettings

CAMERAS = {f"line-{n}": {"url": f"rtsp://demo:pw@127.0.0.1:1/line-{n}"} for n in (1, 2)}


def verdict(**changes: Any) -> dict[str, Any]:
    message = {
        "captured_at": "2026-03-01T10:20:30.123Z",
        "camera": "line-1",
        "track_id": 1234,
        "verdict": "indeterminate",
        "reasons": ["uncertain_label", "too_few_votes", "first_seen_late"],
        "votes": {"usable": 31},
        "latency_ms": 1234.5,
    }
    return {**message, **changes}


def printed(message: dict[str, Any]) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=80).print(_line_of(message), highlight=False, no_wrap=True, overflow="ellipsis")
    return stream.getvalue().splitlines()


def test_a_verdict_is_one_line_of_80_columns_with_all_but_the_last_reasons() -> None:
    (line,) = printed(verdict())
    assert len(line) <= 80
    assert line.startswith("10:20:30  line-1  #1234 INDETERMINATE  31 seen  1234 ms  uncertain_label")


def test_a_reject_tells_two_defects_in_full() -> None:
    (line,) = printed(verdict(verdict="reject", reasons=["low_fill", "dent"]))
    assert line.endswith("low_fill, dent")


def test_where_the_metrics_port_is_taken_any_free_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ObserveSettings().metrics_port
    monkeypatch.setattr(run, "is_free", lambda port: port != usual)
    assert _config(CAMERAS, "pictures").observe.metrics_port is None
    monkeypatch.setattr(run, "is_free", lambda port: True)
    assert _config(CAMERAS, "pictures").observe.metrics_port == usual


def test_the_cameras_are_out_of_reach_of_ctrl_c_and_end_with_us() -> None:
    with _cameras(1) as cameras:
        address = cameras["line-1"]["url"].rpartition("@")[2].partition("/")[0]
        host, _, port = address.partition(":")
        assert {os.getsid(pid) for pid in _children()} - {os.getsid(0)}
        with socket.create_connection((host, int(port)), 5):
            pass
    with pytest.raises(ConnectionRefusedError), socket.create_connection((host, int(port)), 5):
        pass


def test_ctrl_c_while_it_starts_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_judged", interrupted)
    told = tmp_path / "told.json"
    assert run_demo(None, told, 1, Console(file=io.StringIO())) == 0
    assert not told.exists()


def _children() -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process().children() if "pipeline.demo.server" in " ".join(child.cmdline())]
