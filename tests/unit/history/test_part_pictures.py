"""Pictures are read only from their folder, by their part's own name, and only as they were written."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.history import snapshots
from pipeline.history.picture_boxes import clipped, defects_in_picture, moved
from pipeline.history.snapshots import NoPicture, PartPictures, PicturesUnavailable, PictureThreads
from pipeline.sinks.snapshots import SnapshotSettings, file_name
from stages.results.models import InspectionMessage
from tests.unit.history.parts import document

ID = "cam/1/7"
JPEG = b"a picture"
NAME = f"2027-01-15/{file_name(ID)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(JPEG)
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    return tmp_path / "pictures"


def told(uri: str, **snapshot: Any) -> InspectionMessage:
    its = {"uri": uri, "sha256": hashlib.sha256(JPEG).hexdigest()} | snapshot
    return InspectionMessage.model_validate(document(ID, snapshot=its))


def read(folder: Path, message: InspectionMessage) -> bytes:
    return PartPictures(SnapshotSettings(uri=str(folder))).read(message)


def test_a_picture_is_read_as_it_was_written(folder: Path) -> None:
    assert read(folder, told(f"file://{folder}/{NAME}")) == JPEG


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("file://{folder}/../secret.jpg", id="above the folder"),
        pytest.param("file://{folder}/2027-01-15/../../secret.jpg", id="above it by a day"),
        pytest.param("file://{folder}/..%2fsecret.jpg", id="escaped"),
        pytest.param("file://{folder}2/{name}", id="a folder with a longer name"),
        pytest.param("{folder}/{name}", id="no address"),
        pytest.param("file:///etc/passwd", id="another file"),
        pytest.param("http://169.254.169.254/latest/meta-data", id="another server"),
        pytest.param("simplecache::file://{folder}/{name}", id="a chain"),
        pytest.param("file://{folder}/2027-01-15/other-0123456789ab.jpg", id="another part's"),
        pytest.param("file://{folder}/deeper/2027-01-15/x.jpg", id="a deeper folder"),
        pytest.param("file://{folder}/..........{name}", id="no day"),
        pytest.param("", id="nothing"),
    ],
)
def test_nothing_else_is_read_whatever_a_message_says(folder: Path, uri: str) -> None:
    with pytest.raises(NoPicture):
        read(folder, told(uri.format(folder=folder, name=NAME)))


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(folder.parent / "secret.jpg")
    with pytest.raises(NoPicture, match="link"):
        read(folder, told(f"file://{folder}/{NAME}"))


def test_what_was_changed_or_is_gone_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = told(f"file://{folder}/{NAME}")
    (folder / NAME).write_bytes(b"another picture")
    with pytest.raises(NoPicture, match="sha256"):
        read(folder, message)
    monkeypatch.setattr(snapshots, "MOST_BYTES", 5)
    with pytest.raises(NoPicture, match="longer than 5"):
        read(folder, message)
    (folder / NAME).unlink()
    with pytest.raises(NoPicture, match="no longer kept"):
        read(folder, message)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (document(ID, snapshot=None, snapshot_error="disk full"), "disk full"),
        (document(ID, snapshot=None), "no picture of it was asked for"),
        (document(ID, snapshot={"uri": "file:///x", "sha256": None}), "sha256"),
    ],
)
def test_where_there_is_none_the_reason_is_told(folder: Path, message: dict[str, Any], why: str) -> None:
    with pytest.raises(NoPicture, match=why):
        read(folder, InspectionMessage.model_validate(message))
    with pytest.raises(NoPicture):
        PartPictures(None).read(told("file:///x"))


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def test_any_fsspec_address_will_do_and_its_errors_hold_no_password(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory.pipe_file(f"/plant/{NAME}", JPEG)
    pictures = PartPictures(SnapshotSettings(uri="memory://plant"))
    message = told(f"memory:///plant/{NAME}")
    assert pictures.read(message) == JPEG

    def away(*_: object, **__: object) -> object:
        raise ConnectionError("https://key:hunter2@store.example/plant")

    monkeypatch.setattr(MemoryFileSystem, "open", away)
    with pytest.raises(PicturesUnavailable, match="ConnectionError") as caught:
        pictures.read(message)
    assert "hunter2" not in f"{caught.value}{caplog.text}"


async def test_pictures_that_hang_wait_bounded_in_time_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "ANSWERS_WITHIN_S", 0.05)
    monkeypatch.setattr(snapshots, "MOST_WAITING", 1)
    threads, answers = PictureThreads(), threading.Event()
    try:
        late = [threads.call(answers.wait) for _ in range(snapshots.THREADS + 1)]
        told = await asyncio.gather(*late, threads.call(answers.wait), return_exceptions=True)
        assert [str(one).startswith("too many") for one in told] == [False] * (snapshots.THREADS + 1) + [True]
        assert all(isinstance(one, PicturesUnavailable) for one in told)
        answers.set()
        monkeypatch.setattr(snapshots, "ANSWERS_WITHIN_S", 5.0)
        await asyncio.to_thread(threads._threads.submit(int).result)  # behind the others: one of them is done
        assert await threads.call(lambda: JPEG) == JPEG
    finally:
        answers.set()
        threads.close()


def test_a_defect_goes_with_its_part_and_what_is_not_known_is_not_guessed() -> None:
    message = InspectionMessage.model_validate(
        document(
            ID,
            defects=[
                {"label": "dent", "score": 0.9, "box": [12, 24, 14, 28], "part_box": [10, 20, 20, 40]},
                {"label": "old", "score": 0.9, "box": [12, 24, 14, 28]},
            ],
            snapshot={"uri": "x", "sha256": None, "part_box": [100, 50, 120, 90]},
        )
    )
    assert [found.box for found in defects_in_picture(message)] == [(104, 58, 108, 66), None]
    assert moved((1, 1, 2, 2), (0, 0, 0, 9), (0, 0, 9, 9)) is None


def test_only_what_is_in_the_picture_is_left_of_a_box() -> None:
    assert clipped((-5, 10, 20, 300), 100, 200) == (0, 10, 20, 200)
    assert clipped((100, 0, 120, 50), 100, 200) is None
