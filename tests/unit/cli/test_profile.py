"""The table of `rayline profile`, from traces alone."""

from __future__ import annotations

import importlib
import io
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline import cli
from pipeline.commands.profile import _WHAT, shown
from pipeline.observe.profile import profile_of
from pipeline.observe.traces import FrameTrace
from stages.trace import Stage
from tests.unit.observe.roads import frame_trace

command = importlib.import_module("pipeline.commands.profile")
TRACES = [frame_trace(seq=seq, queue=10.0, infer=30.0, track=9.5, publish=0.5) for seq in range(8)]


def table(width: int = 120, traces: Sequence[FrameTrace] = TRACES) -> list[str]:
    found = profile_of(traces)
    assert found is not None
    stream = io.StringIO()
    Console(file=stream, width=width).print(shown(found))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines() if line.strip()]


def test_each_stage_has_a_row_and_the_longest_are_named_with_what_to_do() -> None:
    rows = table()
    assert rows[0] == "stage frames p50 ms p95 ms p99 ms share what it is"
    assert "infer 8 30.0 30.0 30.0 60.0% the model" in rows
    assert "total 8 50.0 50.0 50.0 100.0% capture to publish" in rows
    assert rows[-2:] == [f"60% is infer: {_WHAT['infer'][1]}", f"20% is queue: {_WHAT['queue'][1]}"]


def test_every_row_is_one_at_80_columns() -> None:
    busy = [frame_trace(seq=seq, **{stage.value: 1234.5 for stage in Stage}) for seq in range(12_345)]
    assert len(table(80, busy)) == 1 + len(Stage) + 1 + 2


def test_every_stage_is_explained() -> None:
    assert list(_WHAT) == [stage.value for stage in Stage]


@pytest.fixture
def _traces(monkeypatch: pytest.MonkeyPatch) -> None:
    async def collect(traces: deque[FrameTrace], _seconds: float, camera: str, *_: object) -> None:
        traces.extend(TRACES if camera in ("*", "cam-1") else ())

    monkeypatch.setattr(command, "_collect", collect)


@pytest.mark.usefixtures("_traces")
def test_the_time_line_is_written_and_programs_get_figures(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    result = CliRunner().invoke(cli.app, ["profile", "--json", "--trace", str(path)])
    told = json.loads(result.stdout)
    assert (told["longest"], told["total"]["count"], len(told["stages"])) == ("infer", 8, 4)
    assert sum(event["ph"] == "X" for event in json.loads(path.read_text())["traceEvents"]) == 32


@pytest.mark.usefixtures("_traces")
def test_where_nothing_came_it_ends_with_1_and_says_so() -> None:
    result = CliRunner().invoke(cli.app, ["profile", "--camera", "gate"])
    assert result.exit_code == 1
    assert "no frame of camera gate came by in 10 s" in result.output


def test_a_folder_that_is_not_there_is_told_before_anybody_waits(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, ["profile", "--trace", str(tmp_path / "no" / "trace.json")])
    assert result.exit_code == 2
    assert "there is no folder" in result.output
