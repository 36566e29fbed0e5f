"""The data set of reviewed parts: the reviewer's word decides, boxes lie on what they name, what is unused is told."""

import csv
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from pipeline.history.database import Database
from pipeline.history.gallery import PartFilter
from pipeline.history.labelled import CannotExport, Labelled, write_labelled
from pipeline.history.reviews import Said, review
from pipeline.history.snapshots import PartPictures
from pipeline.sinks.snapshots import SnapshotSettings, file_name
from tests.unit.history.parts import history, put, row

WIDTH, HEIGHT = 100, 200
PART_THEN, PART_NOW = [10.0, 20.0, 60.0, 120.0], [30.0, 40.0, 80.0, 140.0]  # 20 right, 20 down


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "db").mkdir()
    with history(tmp_path / "db") as opened:
        yield opened


def picture(shade: int) -> bytes:
    return cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), shade, np.uint8))[1].tobytes()


def claiming(width: int, height: int) -> bytes:
    """A JPEG whose head claims that size."""
    data = bytearray(picture(1))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


class Plant:
    """Parts with pictures, and what people say of them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.pictures, self.out = database, folder / "pictures", folder / "out"

    def judge(
        self,
        number: int,
        verdict: str,
        labels: dict[str, list[float]],
        said: Said,
        *names: str,
        jpeg: bytes | None = None,
    ) -> str:
        inspection_id = f"a/1/{number}"
        path = self.pictures / "2027-01-15" / file_name(inspection_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number) if jpeg is None else jpeg)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found = [{"label": label, "score": 0.9, "box": box, "part_box": PART_THEN} for label, box in labels.items()]
        snapshot = {"uri": f"file://{path}", "sha256": digest, "part_box": PART_NOW}
        put(self.database, row(number, verdict, message={"defects": found}, snapshot=snapshot))
        with self.database.write() as connection:
            review(connection, inspection_id, said, lines=None, by="anna", at_ms=1, reason="seen", labels=names)
        return path.stem

    def export(self, **wanted: Any) -> Labelled:
        pictures = PartPictures(SnapshotSettings(uri=str(self.pictures)))
        return write_labelled(self.database, PartFilter(None, **wanted), pictures, self.out)

    def lines(self, stem: str) -> list[list[float]]:
        assert (self.out / "images" / f"{stem}.jpg").exists()
        text = (self.out / "labels" / f"{stem}.txt").read_text()
        return [[float(number) for number in line.split()] for line in text.splitlines()]

    def skipped(self) -> dict[str, str]:
        with (self.out / "skipped.csv").open(newline="") as file:
            return {one["inspection_id"]: one["reason"] for one in csv.DictReader(file)}

    def names(self) -> dict[int, str]:
        names: dict[int, str] = yaml.safe_load((self.out / "data.yaml").read_text())["names"]
        return names


@pytest.fixture
def plant(database: Database, tmp_path: Path) -> Plant:
    return Plant(database, tmp_path)


def test_a_box_lies_where_the_belt_has_carried_the_defect(plant: Plant) -> None:
    stem = plant.judge(1, "reject", {"dent": [20.0, 40.0, 30.0, 60.0]}, Said.REJECT)
    assert plant.export() == Labelled(1, 0, ("dent",))
    [line] = plant.lines(stem)
    assert line == pytest.approx([0, 45 / WIDTH, 70 / HEIGHT, 10 / WIDTH, 20 / HEIGHT])


def test_a_part_that_is_good_has_no_box_whatever_the_model_saw(plant: Plant) -> None:
    stem = plant.judge(1, "reject", {"dent": [20.0, 40.0, 30.0, 60.0]}, Said.PASS)
    assert plant.export() == Labelled(1, 0, ())
    assert plant.lines(stem) == []


def test_of_named_defects_only_those_are_taken(plant: Plant) -> None:
    boxes = {"dent": [20.0, 40.0, 30.0, 60.0], "no_cap": PART_THEN}
    stem = plant.judge(1, "reject", boxes, Said.REJECT, "no_cap")
    plant.export()
    assert (plant.names(), len(plant.lines(stem))) == ({0: "no_cap"}, 1)


@pytest.mark.parametrize(
    ("verdict", "names", "reason"),
    [
        pytest.param("pass", (), "no box that says where", id="an escape"),
        pytest.param("reject", ("scratch",), "saw scratch", id="another defect"),
    ],
)
def test_what_nobody_drew_a_box_around_is_told_and_left_out(
    plant: Plant, verdict: str, names: tuple[str, ...], reason: str
) -> None:
    boxes = {} if verdict == "pass" else {"dent": [20.0, 40.0, 30.0, 60.0]}
    stem = plant.judge(1, verdict, boxes, Said.REJECT, *names)
    assert plant.export().skipped == 1
    assert reason in plant.skipped()["a/1/1"]
    assert not (plant.out / "images" / f"{stem}.jpg").exists()


def test_no_id_in_the_list_of_what_is_left_out_is_a_formula(plant: Plant) -> None:
    put(plant.database, row(1, id="=1+1"))
    with plant.database.write() as connection:
        review(connection, "=1+1", Said.REJECT, lines=None, by="anna", at_ms=1)
    plant.export()
    assert set(plant.skipped()) == {"'=1+1"}


def test_pictures_that_cannot_be_read_are_told_and_parts_nobody_reviewed_are_left_out(plant: Plant) -> None:
    gone = plant.judge(1, "reject", {"dent": PART_THEN}, Said.REJECT)
    next(plant.pictures.rglob(f"{gone}.jpg")).unlink()
    put(plant.database, row(2))
    old = row(3, snapshot={"uri": "file:///elsewhere/x.jpg", "sha256": "0" * 64})
    put(plant.database, old | {"message": json.dumps(json.loads(old["message"]))})
    with plant.database.write() as connection:
        review(connection, "a/1/3", Said.REJECT, lines=None, by="anna", at_ms=1)
    assert plant.export().written == 0
    assert set(plant.skipped()) == {"a/1/1", "a/1/3"}


@pytest.mark.parametrize(
    ("jpeg", "reason"),
    [
        pytest.param(claiming(60_000, 60_000), "60000 x 60000 pixels", id="more pixels than memory"),
        pytest.param(picture(1)[:200], "cut off", id="half of one"),
        pytest.param(b"<html>", "no picture", id="none"),
    ],
)
def test_what_cannot_be_learned_from_is_told_and_decoded_by_nobody(plant: Plant, jpeg: bytes, reason: str) -> None:
    plant.judge(1, "reject", {"dent": PART_THEN}, Said.REJECT, jpeg=jpeg)
    assert plant.export().skipped == 1
    assert reason in plant.skipped()["a/1/1"]


def test_classes_keep_their_numbers_from_one_export_to_the_next(plant: Plant) -> None:
    first = plant.judge(1, "reject", {"no_cap": PART_THEN}, Said.REJECT)
    plant.export()
    plant.judge(2, "reject", {"dent": PART_THEN, "no_cap": PART_THEN}, Said.REJECT)
    assert plant.export().classes == ("no_cap", "dent")
    assert plant.lines(first)[0][0] == 0


def test_who_thinks_better_of_it_changes_what_an_export_wrote(plant: Plant) -> None:
    stem = plant.judge(1, "reject", {"dent": PART_THEN}, Said.REJECT)
    plant.export()
    with plant.database.write() as connection:
        review(connection, "a/1/1", Said.REJECT, lines=None, by="bert", at_ms=2, labels=["scratch"])
    assert plant.export().written == 0
    assert not (plant.out / "labels" / f"{stem}.txt").exists()


@pytest.mark.parametrize("name", ["photo.jpg", "data.yaml"])
def test_a_folder_with_something_else_in_it_is_left_alone(plant: Plant, name: str) -> None:
    plant.out.mkdir()
    (plant.out / name).write_text("mine")
    with pytest.raises(CannotExport):
        plant.export()
    assert [path.name for path in plant.out.iterdir()] == [name]
