"""Pictures of parts: what is in them, where they go, and that only so many stay."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import numpy.typing as npt
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.sinks.snapshots import (
    SnapshotArea,
    SnapshotFailed,
    Snapshots,
    SnapshotSettings,
    SnapshotWritten,
    crop,
    file_name,
)
from stages.values import Picture, PixelFormat, Verdict
from tests.stopwatch import Stopwatch

AT = 1_795_000_000.0
WIDTH, HEIGHT = 64, 48
RED = (200, 30, 20)


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """fsspec keeps one memory file system a process."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


class ManualClock:
    """Time that passes when told to."""

    def __init__(self, now: float = AT) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def _red_rgb() -> npt.NDArray[np.uint8]:
    return np.full((HEIGHT, WIDTH, 3), RED, np.uint8)


def _as_i420() -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(_red_rgb(), cv2.COLOR_RGB2YUV_I420), np.uint8)


def _as_nv12() -> npt.NDArray[np.uint8]:
    planar = _as_i420()
    u, v = planar[HEIGHT:].reshape(2, -1)
    interleaved = np.stack([u, v], axis=1).reshape(HEIGHT // 2, WIDTH)
    return np.concatenate([planar[:HEIGHT], interleaved])


def _picture(data: npt.NDArray[np.uint8] | None = None, pixels: PixelFormat = PixelFormat.RGB24) -> Picture:
    return Picture(_red_rgb() if data is None else data, pixels, WIDTH, HEIGHT)


def _written(outcome: SnapshotWritten | SnapshotFailed) -> SnapshotWritten:
    assert isinstance(outcome, SnapshotWritten), outcome
    return outcome


def _read(uri: str) -> bytes:
    with fsspec.open(uri) as file:
        data: bytes = file.read()
    return data


def _decoded(uri: str) -> npt.NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(_read(uri), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image[:, :, ::-1], np.uint8)


@pytest.mark.parametrize(
    ("make", "pixels"),
    [(_red_rgb, PixelFormat.RGB24), (_as_i420, PixelFormat.YUV420P), (_as_nv12, PixelFormat.NV12)],
    ids=["rgb24", "yuv420p", "nv12"],
)
def test_colours_are_right_in_every_format(
    memory: MemoryFileSystem, make: Callable[[], npt.NDArray[np.uint8]], pixels: PixelFormat
) -> None:
    snapshots = Snapshots(SnapshotSettings(uri="memory://shots", quality=95))
    image = _decoded(_written(snapshots.write("cam/1/2", _picture(make(), pixels))).uri)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image.astype(int) - np.array(RED)).max() <= 6


def test_a_grey_picture_is_stored_grey(memory: MemoryFileSystem) -> None:
    snapshots = Snapshots(SnapshotSettings(uri="memory://shots"))
    grey = np.full((HEIGHT, WIDTH), 90, np.uint8)
    image = _decoded(_written(snapshots.write("cam/1/2", _picture(grey, PixelFormat.GRAY8))).uri)
    assert np.abs(image.astype(int) - 90).max() <= 2


def test_the_hash_is_of_the_bytes_stored(memory: MemoryFileSystem) -> None:
    written = _written(Snapshots(SnapshotSettings(uri="memory://shots")).write("cam/1/2", _picture()))
    assert hashlib.sha256(_read(written.uri)).hexdigest() == written.sha256


def test_the_same_part_pictured_again_replaces_its_picture(memory: MemoryFileSystem) -> None:
    snapshots = Snapshots(SnapshotSettings(uri="memory://shots"))
    first, again = (snapshots.write("cam/1/2", _picture(), at=AT) for _ in range(2))
    assert first == again
    assert len(memory.find("/shots")) == 1


def test_a_crop_holds_the_box_and_its_margin(memory: MemoryFileSystem) -> None:
    snapshots = Snapshots(SnapshotSettings(uri="memory://shots", area=SnapshotArea.CROP, margin=0.5))
    image = _decoded(_written(snapshots.write("cam/1/2", _picture(), box=(20, 10, 40, 20))).uri)
    assert image.shape[:2] == (21, 41)


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        pytest.param((-50, -50, 10, 10), (29, 29), id="over the edge: what there is of it"),
        pytest.param((500, 500, 600, 600), (HEIGHT, WIDTH), id="outside: all of the picture"),
        pytest.param((5, 5, 5, 5), (1, 1), id="a point"),
        pytest.param((40, 30, 20, 10), (HEIGHT, WIDTH), id="inside out: all of the picture"),
    ],
)
def test_any_box_gives_a_picture(box: tuple[float, float, float, float], shape: tuple[int, int]) -> None:
    cut, (left, top) = crop(_red_rgb(), box, 0.3)
    assert cut.shape[:2] == shape
    assert (left + shape[1] <= WIDTH, top + shape[0] <= HEIGHT) == (True, True)


def test_pictures_lie_in_their_days_folder_under_a_readable_name(tmp_path: Path) -> None:
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path)), clock=ManualClock())
    written = _written(snapshots.write("cam-1/1795000000000/17", _picture()))
    assert re.fullmatch(rf"file://{tmp_path}/2026-11-18/cam-1_1795000000000_17-[0-9a-f]{{12}}\.jpg", written.uri)


@pytest.mark.parametrize(
    "inspection_id",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a\0b",
        "c:\\windows\\x",
        "x" * 5000,
        "Größe/1",
        "s3://b/k",
        "%2e%2e%2f",
    ],
)
def test_no_id_leads_out_of_the_folder(tmp_path: Path, inspection_id: str) -> None:
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path / "shots")), clock=ManualClock())
    _written(snapshots.write(inspection_id, _picture()))
    (stored,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stored.parent == tmp_path / "shots" / "2026-11-18"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}-[0-9a-f]{12}\.jpg", stored.name)


def test_ids_that_read_alike_have_files_of_their_own() -> None:
    assert len({file_name("a/b"), file_name("a_b"), file_name("a b"), file_name("a//b")}) == 4


def test_only_so_many_pictures_stay_and_the_oldest_go_first(memory: MemoryFileSystem) -> None:
    clock = ManualClock()
    snapshots = Snapshots(SnapshotSettings(uri="memory://shots", max_files=3), clock=clock)
    uris = []
    for part in range(7):
        clock.now += 1
        uris.append(_written(snapshots.write(f"part/{part}", _picture())).uri)
    snapshots.close()
    assert sorted(memory.find("/shots")) == sorted(uri.removeprefix("memory://") for uri in uris[-3:])


def test_only_so_many_bytes_stay(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    picture = Picture(noise, PixelFormat.RGB24, 640, 480)
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path), max_bytes=1_000_000))
    for part in range(12):
        _written(snapshots.write(f"part/{part}", picture))
    snapshots.close()
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.jpg")]
    assert sum(sizes) <= 1_000_000 < sum(sizes) + sizes[0]


def test_pictures_grow_old_and_their_empty_folders_go_with_them(tmp_path: Path) -> None:
    clock = ManualClock(time.time())  # the first file's age is read from the disk, which has a clock of its own
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path), max_age_s=3.5 * 86400), clock=clock)
    days = []
    for _ in range(6):
        days.append(f"{datetime.fromtimestamp(clock.now, UTC):%Y-%m-%d}")
        _written(snapshots.write(f"part/{clock.now}", _picture()))
        clock.now += 86400
    snapshots.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == days[-4:]


def test_what_was_there_before_counts(tmp_path: Path) -> None:
    settings = SnapshotSettings(uri=str(tmp_path), max_files=4)
    for part in range(4):
        old = Snapshots(settings)
        _written(old.write(f"old/{part}", _picture()))
        old.close()
    fresh = Snapshots(settings)
    uris = {_written(fresh.write(f"new/{part}", _picture())).uri for part in range(2)}
    fresh.close()
    left = {f"file://{path}" for path in tmp_path.rglob("*.jpg")}
    assert len(left) == 4
    assert uris <= left


def test_other_peoples_files_are_never_deleted(tmp_path: Path) -> None:
    for name in ("holiday.jpg", "notes.txt", "IMG-0123456789.jpg"):
        (tmp_path / name).write_text("mine")
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path), max_files=1))
    for part in range(5):
        _written(snapshots.write(f"part/{part}", _picture()))
    snapshots.close()
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "holiday.jpg",
        "notes.txt",
        "IMG-0123456789.jpg",
    }
    assert len(list(tmp_path.rglob("*/*.jpg"))) == 1


def test_a_picture_someone_else_deleted_is_no_trouble(tmp_path: Path) -> None:
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path), max_files=2))
    for part in range(6):
        written = _written(snapshots.write(f"part/{part}", _picture()))
        if part % 2:
            Path(written.uri.removeprefix("file://")).unlink()


def test_many_threads_may_write_at_once(memory: MemoryFileSystem) -> None:
    snapshots = Snapshots(SnapshotSettings(uri="memory://shots", max_files=10))
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda part: snapshots.write(f"part/{part}", _picture()), range(60)))
    snapshots.close()
    assert all(isinstance(outcome, SnapshotWritten) for outcome in outcomes)
    assert len(memory.find("/shots")) == 10


def test_storage_that_fails_gives_a_reason_instead_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "shots").write_text("a file where the folder should be")
    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path / "shots")))
    outcome = snapshots.write("part/1", _picture())
    assert isinstance(outcome, SnapshotFailed)
    assert "Error" in outcome.reason


def test_storage_nobody_knows_gives_a_reason_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    snapshots = Snapshots(SnapshotSettings(uri="nosuch://user:s3cret@host/shots"))
    outcome = snapshots.write("part/1", _picture())
    assert isinstance(outcome, SnapshotFailed)
    assert "nosuch" in outcome.reason
    assert "s3cret" not in outcome.reason + caplog.text


def test_a_disk_that_fills_up_leaves_no_half_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    snapshots = Snapshots(SnapshotSettings(uri=str(tmp_path)))
    monkeypatch.setattr(Path, "write_bytes", full)
    outcome = snapshots.write("part/1", _picture())
    assert isinstance(outcome, SnapshotFailed)
    assert "No space left" in outcome.reason
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_storage_that_recovers_is_used_again(tmp_path: Path) -> None:
    blocked = tmp_path / "shots"
    blocked.write_text("a file where the folder should be")
    snapshots = Snapshots(SnapshotSettings(uri=str(blocked)))
    assert isinstance(snapshots.write("part/1", _picture()), SnapshotFailed)
    blocked.unlink()
    _written(snapshots.write("part/2", _picture()))


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.INDETERMINATE])
def test_every_part_that_did_not_pass_is_pictured(verdict: Verdict) -> None:
    snapshots = Snapshots(SnapshotSettings(pass_sample=0))
    assert all(snapshots.wanted(f"cam/1/{part}", verdict) for part in range(100))


def test_the_share_of_passes_pictured_is_as_set_and_the_same_on_replay() -> None:
    ids = [f"cam/1795000000000/{part}" for part in range(20_000)]
    one, other = (Snapshots(SnapshotSettings(pass_sample=0.01)) for _ in range(2))
    chosen = [each for each in ids if one.wanted(each, Verdict.PASS)]
    assert 150 < len(chosen) < 250
    assert chosen == [each for each in ids if other.wanted(each, Verdict.PASS)]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 500)])
def test_none_and_all_mean_none_and_all(share: float, expected: int) -> None:
    snapshots = Snapshots(SnapshotSettings(pass_sample=share))
    assert sum(snapshots.wanted(f"p/{part}", Verdict.PASS) for part in range(500)) == expected


def test_storage_keys_stand_in_no_repr() -> None:
    settings = SnapshotSettings(uri="s3://bucket/shots", storage_options={"key": "K", "secret": "s3cret"})
    assert "s3cret" not in repr(settings) + str(settings)


def test_storage_that_hangs_costs_one_wait_and_is_left_alone(memory: MemoryFileSystem, stopwatch: Stopwatch) -> None:
    thaw = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryFileSystem, "pipe_file", lambda *_: thaw.wait(30))
        snapshots = Snapshots(SnapshotSettings(uri="memory://shots", write_timeout_s=0.5))
        stopwatch.restart()
        outcomes = [snapshots.write(f"part/{part}", _picture()) for part in range(50)]
        assert stopwatch.seconds < 1.0  # one wait for each would be 25 s
        thaw.set()
        snapshots.close()
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, SnapshotFailed)]
    assert reasons[0] == "no answer within 0.5 s"
    assert set(reasons[1:]) == {"storage is left alone: an earlier write still hangs"}
    assert len(reasons) == 50


def test_counting_and_deleting_hold_no_writer_back(memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    thaw = threading.Event()
    monkeypatch.setattr(MemoryFileSystem, "find", _held(MemoryFileSystem.find, thaw))
    snapshots = Snapshots(SnapshotSettings(uri="memory://shots", max_files=2))
    for part in range(20):
        _written(snapshots.write(f"part/{part}", _picture()))
    thaw.set()
    snapshots.close()
    monkeypatch.undo()
    assert len(memory.find("/shots")) == 2


def _held(find: Callable[..., Any], thaw: threading.Event) -> Callable[..., Any]:
    def held(*args: Any, **kwargs: Any) -> Any:
        thaw.wait(30)
        return find(*args, **kwargs)

    return held
