"""What people said of parts as a data set to train on: pictures and boxes in the layout that YOLO trainers read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.history.export import batches, harmless
from pipeline.history.picture_boxes import Box, clipped, defects_in_picture
from pipeline.history.reviews import Said
from pipeline.history.snapshots import NoPicture, PicturesUnavailable
from pipeline.ingest.still_image import ImageRefused, still_image
from pipeline.sinks.snapshots import file_name
from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.history.database import Database
    from pipeline.history.gallery import PartFilter, PartRow
    from pipeline.history.snapshots import PartPictures

CLASSES_FILE = "data.yaml"
SKIPPED_FILE = "skipped.csv"
MOST_PIXELS = 50_000_000  # of a picture: beyond the largest area cameras


class CannotExport(RaylineError):
    """The folder cannot take a data set; says why."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of the reviewed parts."""

    written: int
    skipped: int
    classes: tuple[str, ...]


class _Unusable(Exception):
    """This part says nothing that could be learned; the text says why."""


def write_labelled(
    database: Database, wanted: PartFilter, pictures: PartPictures, folder: Path, most: int = 1_000_000
) -> Labelled:
    """A data set of those of the wanted parts that somebody reviewed, the newest `most`.

    Classes keep their numbers where the folder holds a data set already; new ones come behind them. Parts that cannot
    be used stand in skipped.csv with the reason. Raises CannotExport, HistoryUnavailable.
    """
    classes = _classes_in(folder)
    reviewed = replace(wanted, reviewed=True)
    # All labels first, by the alphabet: a class would else get its number from the part that happens to be newest.
    named = {label for part in _parts(database, reviewed, most) for label in _labels_of(part)}
    classes += sorted(named - set(classes))
    written, skipped = 0, 0
    try:
        for name in ("images", "labels"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        with (folder / SKIPPED_FILE).open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            told = csv.writer(file)
            told.writerow(["inspection_id", "reason"])
            for part in _parts(database, reviewed, most):
                try:
                    _write(part, pictures, classes, folder)
                    written += 1
                except (_Unusable, NoPicture, PicturesUnavailable) as exc:
                    _forget(part, folder)
                    told.writerow([harmless(part.id), harmless(str(exc))])
                    skipped += 1
        _write_classes(folder, classes)
    except OSError as exc:
        raise CannotExport(f"{exc.filename or folder}: {exc.strerror or type(exc).__name__}") from None
    return Labelled(written, skipped, tuple(classes))


def _parts(database: Database, wanted: PartFilter, most: int) -> Iterator[PartRow]:
    for some in batches(database, wanted, most):
        yield from some


def boxes_of(part: PartRow, width: int, height: int) -> list[tuple[str, Box]]:
    """What is to be seen in the part's picture of that size, by the reviewer's word. Raises _Unusable.

    A part that is good has no defect, whatever the model saw. Of one that is bad the model's boxes are taken; where the
    reviewer named defects, those of that name. What nobody drew a box around cannot be learned from.
    """
    review = part.review
    if review is None:
        raise _Unusable("nobody reviewed it")
    if review.said is Said.PASS:
        return []
    found = [one for one in defects_in_picture(part.message) if not review.labels or one.label in review.labels]
    if missing := sorted(set(review.labels) - {one.label for one in found}):
        raise _Unusable(f"the reviewer saw {', '.join(missing)}, and there is no box that says where")
    if not found:
        raise _Unusable("the reviewer says it is bad, and there is no box that says where")
    placed = [(one.label, None if one.box is None else clipped(one.box, width, height)) for one in found]
    if any(box is None for _, box in placed):
        raise _Unusable("its message does not tell where in the picture a defect is")
    return [(label, box) for label, box in placed if box is not None]


def _labels_of(part: PartRow) -> list[str]:
    if part.review is None or part.review.said is Said.PASS:
        return []
    return [
        found.label for found in part.message.defects if not part.review.labels or found.label in part.review.labels
    ]


def _write(part: PartRow, pictures: PartPictures, classes: Sequence[str], folder: Path) -> None:
    jpeg = pictures.read(part.message)
    width, height = _size(jpeg)
    lines = [_line(classes.index(label), box, width, height) for label, box in boxes_of(part, width, height)]
    image_path, label_path = _paths(part, folder)
    image_path.write_bytes(jpeg)
    label_path.write_text("".join(lines))


def _size(jpeg: bytes) -> tuple[int, int]:
    """Width and height, as its head tells them."""
    try:
        image = still_image(jpeg)
    except ImageRefused as exc:
        raise _Unusable(f"the stored file is no picture: {exc}") from None
    if image.width * image.height > MOST_PIXELS:
        raise _Unusable(f"a picture of {image.width} x {image.height} pixels; at most {MOST_PIXELS} are taken")
    return image.width, image.height


def _forget(part: PartRow, folder: Path) -> None:
    """An earlier export may have used it."""
    for path in _paths(part, folder):
        path.unlink(missing_ok=True)


def _paths(part: PartRow, folder: Path) -> tuple[Path, Path]:
    name = file_name(part.id)
    return folder / "images" / name, folder / "labels" / f"{name.removesuffix('.jpg')}.txt"


def _line(class_id: int, box: Box, width: int, height: int) -> str:
    """Class, then middle x and y, width and height as fractions of the picture."""
    x1, y1, x2, y2 = box
    numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return f"{class_id} {' '.join(f'{number:.6f}' for number in numbers)}\n"


def _classes_in(folder: Path) -> list[str]:
    """Those of a data set that is in the folder already. Raises CannotExport where something else is."""
    path = folder / CLASSES_FILE
    try:
        if not path.exists():
            if folder.exists() and any(folder.iterdir()):
                raise CannotExport(f"{folder} holds something that is no data set: name an empty or a new folder")
            return []
        names = _mapping(yaml.safe_load(path.read_text())).get("names")
    except OSError as exc:
        raise CannotExport(f"{exc.filename}: {exc.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        names = None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CannotExport(f"{path} tells no `names`: classes would get other numbers than before")
    return names


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _write_classes(folder: Path, classes: Sequence[str]) -> None:
    data = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(classes))}
    (folder / CLASSES_FILE).write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
