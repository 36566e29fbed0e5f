"""Odd video files: each gives what is true of it, or is refused in words that name it."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.ingest.camera import CameraSettings, make_source
from pipeline.ingest.source import After, SourceFrame, SourceInvalid
from stages.values import PixelFormat, UInt8
from tests.fakes import WholeFrame, whole

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
ODD = SHARED / "clips" / "odd"

pytestmark = pytest.mark.skipif(not ODD.is_dir(), reason="../shared is absent")


def read(path: Path, after: After | None = None, limit: int = 10_000) -> list[WholeFrame]:
    frames: list[WholeFrame] = []
    with closing(make_source(CameraSettings(camera_id="cam", url=str(path)))) as source:  # type: ignore[arg-type]
        source.open()
        for item in source.frames(after):
            if isinstance(item, SourceFrame):
                frames.append(whole(item))
            if len(frames) == limit:
                break
    return frames


@pytest.mark.parametrize(
    ("name", "sizes", "seconds"),
    [
        ("good.mkv", {(640, 360): 299}, 10.0),
        ("good.ts", {(640, 360): 299}, 10.0),
        ("h265_8bit.mp4", {(640, 360): 299}, 10.0),
        ("bframes_gop300.mp4", {(640, 360): 299}, 10.0),
        ("vfr.mp4", {(640, 360): 200}, 10.0),
        ("rotated90.mp4", {(360, 640): 299}, 10.0),
        ("interlaced.mp4", {(640, 360): 149}, 9.9),
        ("mjpeg.avi", {(320, 180): 299}, 10.0),
        ("mpeg2.ts", {(640, 360): 250}, 10.0),
        ("mpeg4.avi", {(640, 360): 299}, 10.0),
        ("vp9.webm", {(320, 180): 299}, 10.0),
        ("odd_size_444.mp4", {(638, 358): 299}, 10.0),
        ("one_frame.mp4", {(640, 360): 1}, 0.0),
        ("pts_wrap.ts", {(640, 360): 299}, 10.0),
        ("resolution_change.ts", {(640, 360): 120, (320, 180): 120}, 8.0),
        ("corrupt_bytes.ts", {(640, 360): 297}, None),
        ("truncated.mkv", {(640, 360): 180}, 6.0),
    ],
)
def test_an_odd_clip_gives_all_its_pictures_in_order(
    name: str, sizes: dict[tuple[int, int], int], seconds: float | None
) -> None:
    frames = read(ODD / name)
    assert Counter((f.image.width, f.image.height) for f in frames) == sizes
    assert [f.minor for f in frames] == list(range(len(frames)))
    assert all(a.captured_at < b.captured_at for a, b in pairwise(frames))
    assert {f.image.format for f in frames} == {PixelFormat.YUV420P}
    if seconds is not None:
        assert frames[-1].captured_at - frames[0].captured_at == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize(
    "name", ["good.mkv", "good.ts", "bframes_gop300.mp4", "vfr.mp4", "pts_wrap.ts", "resolution_change.ts", "mpeg4.avi"]
)
def test_an_odd_clip_goes_on_behind_any_place(name: str) -> None:
    whole, rest = read(ODD / name, limit=160), read(ODD / name, after=After(0, 149), limit=10)
    assert [f.minor for f in rest] == list(range(150, 160))
    for frame in rest:
        assert (frame.image.data == whole[frame.minor].image.data).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("truncated_no_moov_or_tail.mp4", "Invalid data"),
        ("random_bytes.mp4", "Invalid data"),
        ("text_lfs_pointer.mp4", "Invalid data"),
        ("zero_byte.mp4", "Invalid data"),
        ("audio_only.m4a", "holds no video"),
        ("not_there.mp4", "No such file"),
    ],
)
def test_a_file_that_is_no_video_is_refused_by_name(name: str, said: str) -> None:
    with pytest.raises(SourceInvalid) as caught:
        read(ODD / name)
    assert name in str(caught.value)
    assert said in str(caught.value)


def to_rgb(frame: WholeFrame) -> UInt8:
    return np.asarray(cv2.cvtColor(frame.image.data, cv2.COLOR_YUV2RGB_I420), np.uint8)


def test_a_turned_clip_comes_upright() -> None:
    turned, whole = read(ODD / "rotated90.mp4", limit=1)[0], read(ODD / "good.mkv", limit=1)[0]
    upright = np.rot90(to_rgb(whole)).astype(int)
    assert np.abs(upright - to_rgb(turned)).mean() < 6, (
        "the same picture, but for the codec, a quarter turn to the left"
    )


def test_full_range_and_4_4_4_pictures_keep_their_colours() -> None:
    reference = to_rgb(read(ODD / "good.mkv", limit=1)[0])
    for name in ("mjpeg.avi", "odd_size_444.mp4"):
        picture = to_rgb(read(ODD / name, limit=1)[0])
        small = cv2.resize(reference, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - picture).mean() < 6, name
