"""What waits on disk: in order, within its bounds, after a crash, and where file or disk are not as they should be."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.sinks.redis_streams import CameraWrite, RedisSettings
from pipeline.sinks.spool import (
    _BY_CAMERA,
    Entry,
    Loose,
    Newest,
    Shed,
    Spool,
    SpoolBroken,
    SpoolBusy,
    SpoolUnavailable,
    Waiting,
)
from pipeline.sinks.spool_folder import MOST_SET_ASIDE, SpoolFolder
from pipeline.sinks.spool_settings import Fsync, SpoolSettings, default_folder
from stages.values import Position
from tests.services.redis.writes import message

CONTEXT = ["line", "station", "rtsp", None, "hash", True]
Make = Callable[..., Spool]


def cursor(seq: int) -> str:
    return Position("live", 7, seq).encode()


def entry(
    seq: int,
    *,
    camera: str = "cam",
    frames: int = 1,
    events: int = 0,
    verdicts: int = 0,
    checkpoint: bytes | None = None,
    pad: int = 0,
) -> Entry:
    noise = os.urandom(pad).hex() if pad else ""
    detections = [message(f"{seq}-{n}{noise}") for n in range(frames)]
    told = [message(f"event-{seq}-{n}") for n in range(events)]
    inspections = [message(f"part-{seq}-{n}") for n in range(verdicts)]
    write = CameraWrite(camera, "line", cursor(seq - 1), cursor(seq), detections, told, inspections, checkpoint)
    return Entry(write, CONTEXT)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Opens the spool; it is closed behind the test."""
    opened = []

    def spool(**settings: object) -> Spool:
        opened.append(Spool(tmp_path / "s.db", SpoolSettings.model_validate(settings)))
        return opened[-1]

    yield spool
    for each in opened:
        each.close()


def cursors(spool: Spool) -> list[str]:
    return [each.entry.what.new for each in spool.peek(10_000) if isinstance(each.entry.what, CameraWrite)]


@pytest.mark.parametrize("fsync", list(Fsync))
def test_what_was_put_in_comes_out_as_it_was_oldest_first(make: Make, fsync: Fsync) -> None:
    spool = make(fsync=fsync)
    loose = Entry(Loose("cam", "line", [message("e")], [message("i")], (cursor(2), b"\x00\xff")), CONTEXT)
    first = [entry(1, checkpoint=b"\x00\xff"), entry(1, camera="other", frames=3, verdicts=1)]
    spool.append(first, 10.0)
    spool.append([loose], 11.0)
    out = spool.peek(10)
    assert [each.entry for each in out] == [*first, loose]
    assert [each.at for each in out] == [10.0, 10.0, 11.0]
    assert [each.entry for each in spool.peek(2)] == first
    assert [each.entry for each in spool.peek(9, {("line", "cam")})] == [first[1]]
    assert spool.waiting() == {("line", "cam"): Waiting(2, 1), ("line", "other"): Waiting(1, 3)}
    spool.remove([out[0].id, out[1].id])
    assert [each.entry for each in spool.peek(10)] == [loose]
    assert spool.waiting() == {("line", "cam"): Waiting(1, 0)}
    assert spool.oldest_at() == 11.0
    spool.remove([out[2].id])
    assert (spool.size_bytes, spool.oldest_at(), spool.waiting()) == (0, None, {})


def test_where_a_camera_stands_is_its_newest_write_and_the_newest_checkpoint(make: Make) -> None:
    spool = make()
    spool.append([entry(1, checkpoint=b"old"), entry(2, checkpoint=b"new"), entry(3), entry(9, camera="other")], 1.0)
    assert spool.newest("line", "cam") == Newest(cursor(3), b"new")
    assert spool.newest("line", "other") == Newest(cursor(9), None)
    assert spool.newest("other line", "cam") is None


def test_a_full_spool_drops_the_oldest_frames_and_says_whose(make: Make) -> None:
    spool = make(max_bytes=100_000)
    lost = 0
    for seq in range(1, 401):
        lost += sum(its.frames for its in spool.append([entry(seq, pad=200)], 1.0).values())
        assert spool.size_bytes <= 100_000
    left = cursors(spool)
    assert left == [cursor(seq) for seq in range(401 - len(left), 401)]
    assert lost == 400 - len(left) > 0
    assert spool.waiting() == {("line", "cam"): Waiting(len(left), len(left))}


def test_verdicts_outlast_the_frames_they_came_with(make: Make) -> None:
    spool = make(max_bytes=100_000)
    spool.append([entry(1, events=3, verdicts=2, pad=200)], 1.0)
    shed = [its for seq in range(2, 401) for its in spool.append([entry(seq, pad=200)], 1.0).values()]
    frames = sum(its.frames for its in shed)
    oldest = spool.peek(1)[0].entry.what
    assert oldest == Loose("cam", "line", [], [message("part-1-0"), message("part-1-1")])
    assert frames == 401 - len(spool.peek(1000))
    assert sum(its.events for its in shed) == 3
    assert spool.waiting()["line", "cam"].entries == len(spool.peek(1000))


def test_where_only_verdicts_are_left_the_oldest_of_them_go(make: Make) -> None:
    spool = make(max_bytes=100_000)
    lost = 0
    for _ in range(1000):
        loose = Loose("cam", "line", inspections=[message(os.urandom(100).hex())])
        lost += sum(its.verdicts for its in spool.append([Entry(loose, CONTEXT)], 1.0).values())
    assert lost == 1000 - len(spool.peek(1000)) > 0


def test_what_is_too_old_goes(make: Make) -> None:
    spool = make(max_age_s=60)
    spool.append([entry(1, frames=3, events=2, verdicts=1)], 100.0)
    spool.append([entry(2)], 130.0)
    assert spool.expire(160.0) == {}
    assert spool.expire(161.0) == {("line", "cam"): Shed(frames=3, events=2, verdicts=1)}
    assert cursors(spool) == [cursor(2)]


def test_what_is_too_old_goes_in_pieces_that_hold_nobody_up(make: Make) -> None:
    spool = make(max_age_s=60)
    spool.append([entry(seq) for seq in range(1, 151)], 100.0)
    pieces = []
    while shed := spool.expire(161.0):
        pieces.append(shed["line", "cam"].frames)
    assert pieces == [64, 64, 22]
    assert spool.waiting() == {}


def test_what_a_file_holds_is_told_by_its_index_alone(make: Make) -> None:
    spool = make()
    spool.append([entry(1, pad=100), entry(2, camera="other", frames=3)], 1.0)
    size_bytes, waiting = spool.size_bytes, spool.waiting()
    assert "COVERING INDEX entry_of" in str(spool._all(f"EXPLAIN QUERY PLAN {_BY_CAMERA}"))
    spool.close()
    again = make()
    assert (again.size_bytes, again.waiting()) == (size_bytes, waiting)


def test_only_one_at_a_time_has_the_file(make: Make) -> None:
    spool = make()
    with pytest.raises(SpoolBusy):
        make()
    spool.append([entry(1)], 1.0)
    spool.close()
    assert cursors(make()) == [cursor(1)]


def test_a_file_in_which_nothing_waits_is_deleted(make: Make, tmp_path: Path) -> None:
    spool = make()
    spool.append([entry(1)], 1.0)
    spool.remove([spool.peek(1)[0].id])
    spool.close()
    spool.close()
    assert [path.name for path in tmp_path.iterdir()] == ["s.db.lock"]


def test_a_killed_process_leaves_all_it_was_told_is_stored(tmp_path: Path, make: Make) -> None:
    script = """
import os, sys, signal
from pathlib import Path
from pipeline.sinks.spool import Spool
from pipeline.sinks.spool_settings import SpoolSettings
from tests.unit.sinks.test_spool import entry
spool = Spool(Path(sys.argv[1]), SpoolSettings())
for seq in range(1, 101):
    spool.append([entry(seq, frames=2)], 1.0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "s.db")], timeout=60, check=False)
    assert ended.returncode == -9
    spool = make()
    assert cursors(spool) == [cursor(seq) for seq in range(1, 101)]
    assert spool.waiting() == {("line", "cam"): Waiting(100, 200)}


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever else it may be" * 100)


def _truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) // 3))


def _another_version(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def _other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()


def _unreadable_entry(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entry SET payload = x'00'")
    db.close()


@pytest.mark.parametrize(
    "harm", [_garbage, _truncated, _another_version, _other_database, _unreadable_entry], ids=lambda harm: harm.__name__
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    folder = SpoolFolder(tmp_path, SpoolSettings())
    for seq in range(1, 200):
        folder.spool("shard/1").append([entry(seq, pad=100, checkpoint=b"x")], 1.0)
    folder.close_all()
    (path,) = tmp_path.glob("*.db")
    harm(path)
    with pytest.raises(SpoolBroken, match=r"shard%2F1\.db"):
        folder.spool("shard/1").peek(1000)
    aside = folder.set_aside("shard/1", now=0.0)
    assert aside.name == "shard%2F1.db.corrupt-19700101T000000Z"
    assert aside.exists()
    folder.spool("shard/1").append([entry(1)], 1.0)
    assert cursors(folder.spool("shard/1")) == [cursor(1)]
    folder.close_all()
    assert folder.left() == ["shard/1"]


def test_only_some_damaged_files_are_kept(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, SpoolSettings())
    for day in range(MOST_SET_ASIDE + 3):
        _garbage(tmp_path / "s.db")
        folder.set_aside("s", now=day * 86400.0)
    kept = sorted(path.name[-16:-8] for path in tmp_path.glob("*.corrupt-*"))
    assert kept == [f"1970010{day + 1}" for day in range(3, MOST_SET_ASIDE + 3)]


def test_a_folder_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolUnavailable, match="Not a directory"):
        SpoolFolder(tmp_path / "file" / "spool", SpoolSettings()).spool("s")


def test_a_full_disk_refuses_the_new_and_keeps_the_old(make: Make) -> None:
    """As SQLite meets it: the database may not grow by a page more."""
    spool = make()
    spool.append([entry(1)], 1.0)
    pages = spool._one("PRAGMA page_count")
    spool._execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolUnavailable, match="full"):
        spool.append([entry(2, pad=20_000)], 1.0)
    assert cursors(spool) == [cursor(1)]
    assert spool.waiting() == {("line", "cam"): Waiting(1, 1)}
    spool._execute("PRAGMA max_page_count = 1000000")
    spool.append([entry(2)], 1.0)
    assert cursors(spool) == [cursor(1), cursor(2)]


def test_a_change_that_nobody_waits_for_any_more_is_undone(tmp_path: Path) -> None:
    is_late = False
    with Spool(tmp_path / "s.db", SpoolSettings(max_age_s=60), lambda: is_late) as spool:
        spool.append([entry(1)], 1.0)
        before = spool.size_bytes, spool.waiting()
        is_late = True
        for change in (
            lambda: spool.append([entry(2)], 1.0),
            lambda: spool.expire(100.0),
            lambda: spool.remove([spool.peek(1)[0].id]),
        ):
            with pytest.raises(SpoolUnavailable, match="nobody waits"):
                change()
        assert cursors(spool) == [cursor(1)]
        assert (spool.size_bytes, spool.waiting()) == before
        is_late = False
        spool.append([entry(3)], 1.0)
        assert cursors(spool) == [cursor(1), cursor(3)]


def test_a_file_that_vanished_is_begun_anew(make: Make, tmp_path: Path) -> None:
    spool = make()
    spool.append([entry(1)], 1.0)
    spool.close()
    shutil.rmtree(tmp_path)
    assert make().waiting() == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("redis://h:6379/0", "redis://u:secret@h/", True, id="whatever the password"),
        pytest.param("redis://h/1", "redis://h?db=1", True, id="however the database is named"),
        pytest.param("redis://h/1", "redis://h/2", False, id="another database"),
        pytest.param("redis://h", "redis://h:6380", False, id="another port"),
        pytest.param("unix:///a", "unix:///b", False, id="another socket"),
    ],
)
def test_each_redis_has_a_folder_of_its_own(
    one: str, other: str, same: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folders = [default_folder(RedisSettings().at(url)) for url in (one, other)]
    assert (folders[0] == folders[1]) is same
    assert folders[0].parent == tmp_path / "rayline" / "spool"
    assert "secret" not in str(folders)
