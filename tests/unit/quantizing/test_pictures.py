"""Pictures to calibrate with are spread over all there are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.ingest.source import SourceError
from pipeline.quantizing.pictures import Spread, take_pictures

SIZE_HW = (32, 64)


def pictures(folder: Path, count: int) -> str:
    """Their brightness tells their number."""
    folder.mkdir()
    for number in range(count):
        assert cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 64, 3), number * 4, np.uint8))
    return str(folder)


def numbers(folder: str, most: int) -> list[int]:
    return [int(one.tensor[0, 0, 16, 32]) // 4 for one in take_pictures([folder], SIZE_HW, most, live_s=1)]


@pytest.mark.parametrize(
    ("most", "taken"),
    [
        pytest.param(50, list(range(40)), id="fewer than wanted: all"),
        pytest.param(40, list(range(40)), id="just as many"),
        pytest.param(39, list(range(0, 40, 2)), id="one more: every second"),
        pytest.param(10, list(range(0, 40, 4)), id="four times as many: every fourth"),
        pytest.param(1, [0], id="one"),
    ],
)
def test_they_are_evenly_spaced(tmp_path: Path, most: int, taken: list[int]) -> None:
    assert numbers(pictures(tmp_path / "many", 40), most) == taken


def test_each_address_gives_its_share(tmp_path: Path) -> None:
    many, few = pictures(tmp_path / "many", 30), pictures(tmp_path / "few", 3)
    assert len(take_pictures([many, few], SIZE_HW, 20, live_s=1)) == 8 + 3


@pytest.mark.parametrize("address", ["absent.mp4", "gopher://x/y", "kafka:topic"])
def test_an_address_without_pictures_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(SourceError):
        take_pictures([str(tmp_path / address) if "." in address else address], SIZE_HW, 20, live_s=1)


def test_no_more_is_held_than_was_asked_for() -> None:
    spread: Spread[int] = Spread(8)
    longest = 0
    for number in range(1000):
        if spread.wants():
            spread.keep(number)
        longest = max(longest, len(spread.kept))
    assert longest <= 9
    assert spread.kept == list(range(0, 1000, 128))
