"""`rayline history` as its own process, and its parts in one loop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from pipeline.children import Child
from pipeline.history.camera_minutes import CameraMinutes
from pipeline.history.database import Database
from pipeline.history.retention import Retention
from pipeline.history.running import History, HistorySpec
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import camera_minutes, events, inspections, part_minutes
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.recording import MODULE
from tests.services.history.rig import Line, eventually
from tests.stopwatch import Stopwatch
from tests.unit.history.books import count, empty_sqlite, put, rows
from tests.unit.history.messages import part

pytestmark = pytest.mark.services

CONFIG = """\
version: 1
redis: {{url: '{redis}'}}
history: {{data_dir: kept, batch: 20}}
"""


class Process:
    """`rayline history CONFIG`, to be killed."""

    def __init__(self, folder: Path, line: Line) -> None:
        self._config = folder / "site.yaml"
        self._config.write_text(CONFIG.format(redis=line.settings.url.get_secret_value()))
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "pipeline.cli", "history", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, how)
        return self._process.wait(60)

    @property
    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
async def process(tmp_path: Path, line: Line) -> AsyncIterator[Process]:
    made = Process(tmp_path, line)
    yield made
    made.end()


async def test_a_process_that_is_killed_again_and_again_writes_each_part_once(
    process: Process, line: Line, tmp_path: Path
) -> None:
    db = empty_sqlite(tmp_path / "kept")
    for round_ in range(2):
        process.start()
        before = count(db, inspections)
        await line.publish(*line.messages(100, first=100 * round_))
        await eventually(lambda before=before: count(db, inspections) > before)  # type: ignore[misc]
        process.end()
    process.start()
    await eventually(lambda: count(db, inspections) == count(db, events) == 200)
    assert process.end(signal.SIGTERM) == 0
    assert sum(int(str(row["parts"])) for row in rows(db, part_minutes)) == 200
    assert await line.pending() == 0
    assert "Traceback" not in process.log
    assert "Stopping ..." in process.log
    db.close()


async def test_a_history_of_a_later_version_ends_it_with_a_sentence(
    process: Process, line: Line, tmp_path: Path
) -> None:
    db = empty_sqlite(tmp_path / "kept")
    with db.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    db.close()
    await line.publish(part(line=line.name))
    process.start()
    await eventually(lambda: "later version of Rayline" in process.log)
    await asyncio.sleep(0.5)
    assert process.end(signal.SIGCONT) == 1
    assert "Traceback" not in process.log


async def test_beside_the_graph_it_keeps_the_last_results_and_ends_with_its_parent(line: Line, tmp_path: Path) -> None:
    db = empty_sqlite(tmp_path / "kept")
    data = {"redis": {"url": line.settings.url.get_secret_value()}, "history": {"data_dir": str(tmp_path / "kept")}}
    with Child("history", MODULE, orjson.dumps(data)):
        await line.publish(*line.messages(3))
        await eventually(lambda: count(db, events) == 3)
        await line.publish(*line.messages(3, first=3))
    assert count(db, events) == count(db, inspections) == 6
    assert await line.pending() == 0
    db.close()


class Broken:
    """A part that breaks, and is made anew."""

    made = 0

    def __init__(self, _: Database) -> None:
        Broken.made += 1

    async def run(self) -> None:
        raise ValueError("broken")

    def finish(self) -> None:
        pass


async def test_a_part_that_breaks_begins_anew_and_the_others_go_on(
    line: Line, tmp_path: Path, stopwatch: Stopwatch
) -> None:
    db = empty_sqlite(tmp_path)
    spec = HistorySpec(HistorySettings(), line.settings, [line.name], tmp_path, {"broken": Broken})
    history = History(spec)
    task = asyncio.create_task(history.run())
    await eventually(lambda: Broken.made == 2)
    await line.publish(*line.messages(3))
    await eventually(lambda: count(db, events) == 3)
    history.finish()
    stopwatch.restart()
    await asyncio.wait_for(task, 60)
    assert stopwatch.seconds < 5
    assert history.status().written >= 6
    db.close()


async def test_the_cameras_reports_become_rows_and_go_on_behind_a_restart(line: Line, either: Database) -> None:
    at = time.time() // 60 * 60

    async def told(seconds: float, **fields: Any) -> None:
        one = {"camera": "cam-1", "line": line.name, "station": "s", "state": "running", "since": 0.0, "fps_in": 10.0}
        camera = CameraReport.model_validate(one | fields)
        await StateStore(line.redis).write(SystemReport(at=at + seconds, started_at=0.0, cameras=(camera,)))

    minutes = CameraMinutes(either, line.settings)
    for seconds, fields in ((1, {"dropped": {"behind": 1}}), (2, {"dropped": {"behind": 4}, "state": "failed"})):
        await told(seconds, **fields)
        await minutes.step()
    await minutes.save()
    again = CameraMinutes(either, line.settings)
    for seconds, frames in ((3, 4), (4, 6)):
        await told(seconds, dropped={"behind": frames})
        await again.step()
    again.finish()
    await again.run()  # saves
    minutes.finish()
    await minutes.run()
    (row,) = rows(either, camera_minutes)
    assert (row["camera"], row["minute"], row["state"], row["fps_in"], row["dropped"]) == (
        "cam-1", at // 60, "failed", 10.0, 5,
    )  # fmt: skip


async def test_retention_works_on_both_databases(either: Database) -> None:
    now = time.time()
    put(either, *(part(at=now - days * 86_400, labels=["dent"]) for days in (1, 3, 5, 800)))
    retention = Retention(either, HistorySettings(retention_days=2), pause_s=0.0)
    assert await retention.sweep() == 3 + 2  # parts, and the oldest's two roll-ups
    assert count(either, inspections) == 1
    assert count(either, part_minutes) == 3
