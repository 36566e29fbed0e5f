"""What every source of pictures promises, tried on each of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import pytest

from pipeline.demo.rtsp_server import RtspServer, StreamSettings
from pipeline.ingest.av_source import AvSource
from pipeline.ingest.camera import CameraSettings, make_source
from pipeline.ingest.source import After, BadFrame, Source, SourceFrame, SourceInvalid
from stages.values import Clock, PixelFormat
from tests.fakes import ManualClock, ScriptedSource, WholeFrame, source_frame, whole
from tests.numbered import numbered_picture, read_number
from tests.stopwatch import Stopwatch
from tests.web_server import served

Make = Callable[[], Source]
LENGTH = 12  # pictures in a file or folder
WIDTH, HEIGHT = 160, 96


def record(path: Path, kind: str | None = None, length: int = LENGTH, b_frames: int = 2, **options: str) -> Path:
    """A short video whose pictures carry their number; every fifth is a keyframe."""
    with av.open(str(path), "w", format=kind, options=options) as container:
        stream = container.add_stream(
            "libx264", rate=30, options={"g": "5", "bf": str(b_frames), "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(length):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_picture(n, WIDTH, HEIGHT), "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The video as a file."""
    return record(tmp_path_factory.mktemp("clips") / "numbered.mp4")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with the video as clip.mp4 and, in pieces, hls.m3u8."""
    path = tmp_path_factory.mktemp("site")
    record(path / "clip.mp4")
    pieces = str(path / "part%d.ts")
    record(path / "hls.m3u8", "hls", hls_time="0.1", hls_playlist_type="vod", hls_segment_filename=pieces)
    with served(path) as url:
        yield url


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as pictures 0.png to 11.png."""
    path = tmp_path_factory.mktemp("pictures")
    for n in range(LENGTH):
        cv2.imwrite(str(path / f"{n}.png"), numbered_picture(n, WIDTH, HEIGHT))
    (path / "notes.txt").write_text("not a picture")
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[RtspServer]:
    with RtspServer(user="viewer", password="s3cret") as server:
        server.add_stream(
            "cam",
            StreamSettings(fps=60, width=WIDTH, height=HEIGHT, keyframe_s=0.5),
            lambda n: numbered_picture(n, WIDTH, HEIGHT),
            realtime=False,
        )
        yield server


_needs_server = pytest.mark.services
REPLAYED = (
    "file",
    "paced looped file",
    pytest.param("http", marks=_needs_server),
    "folder",
    "looped folder",
    "script",
)
LIVE = (
    pytest.param("hls", marks=_needs_server),
    pytest.param("rtsp over tcp", marks=_needs_server),
    pytest.param("rtsp over tcp, direct", marks=_needs_server),
    pytest.param("rtsp over tcp, ffmpeg", marks=_needs_server),
    pytest.param("rtsp over udp", marks=_needs_server),
    "live script",
)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Make:
    """Makes the source a test asks for by name, as often as it likes."""
    name: str = request.param
    if "script" in name:
        frames = [source_frame(n) for n in range(LENGTH)]
        return lambda: ScriptedSource(frames, live=name == "live script")
    patient = {"open_timeout_s": 60, "read_timeout_s": 60, "keyframes_only_behind_s": None}  # the machine may be busy
    settings: dict[str, object] = {"camera_id": "cam", "loop": "looped" in name} | patient
    if "rtsp" in name:
        server: RtspServer = request.getfixturevalue("server")
        over, _, reader = name.removeprefix("rtsp over ").partition(", ")
        settings |= {"url": server.url("cam"), "transport": over, "rtsp_reader": reader or "auto"}
    elif name in ("http", "hls"):
        settings["url"] = request.getfixturevalue("site") + ("/hls.m3u8" if name == "hls" else "/clip.mp4")
    else:
        settings["url"] = str(request.getfixturevalue("folder" if "folder" in name else "clip"))
        settings["pace"] = "realtime" if "paced" in name else "fast"
    return lambda: make_source(CameraSettings.model_validate(settings))


every_source = pytest.mark.parametrize("make", [*REPLAYED, *LIVE], indirect=True)
replayed_sources = pytest.mark.parametrize("make", REPLAYED, indirect=True)
live_sources = pytest.mark.parametrize("make", LIVE, indirect=True)


def read(source: Source, count: int = LENGTH, after: After | None = None) -> list[WholeFrame]:
    """The first pictures it gives; opens and closes it."""
    with closing(source):
        source.open()
        return [whole(item) for item in islice(source.frames(after), count) if isinstance(item, SourceFrame)]


def number(frame: WholeFrame) -> int | None:
    image = frame.image
    return read_number(image.data[: image.height] if image.data.ndim == 2 else image.data[:, :, 1])


@every_source
def test_pictures_come_in_order_and_time_moves_on(make: Make) -> None:
    frames = read(make())
    assert len(frames) == LENGTH
    assert all((a.major, a.minor) < (b.major, b.minor) for a, b in pairwise(frames))
    assert all(a.captured_at < b.captured_at for a, b in pairwise(frames))


@every_source
def test_how_long_decoding_took_is_told(make: Make) -> None:
    with closing(make()) as source:
        source.open()
        frames = [item for item in islice(source.frames(), 5) if isinstance(item, SourceFrame)]
    assert frames
    assert all(0 < frame.decode_s < 2 for frame in frames)


@every_source
def test_pictures_are_the_callers_own(make: Make) -> None:
    first, second = read(make(), 2)
    before = second.image.data.copy()
    copied = first.image.data.copy()
    copied[:] = 0
    assert (second.image.data == before).all()
    assert first.image.data.flags.c_contiguous


@every_source
def test_a_source_can_be_closed_at_any_time_and_again(make: Make) -> None:
    source = make()
    source.close()
    source = make()
    source.open()
    next(iter(source.frames()))
    source.close()
    source.close()


@every_source
def test_cancel_from_another_thread_ends_the_pictures_soon(make: Make, stopwatch: Stopwatch) -> None:
    source = make()
    first = threading.Event()
    with closing(source):
        source.open()

        def cancel() -> None:
            assert first.wait(60)
            source.cancel()

        threading.Thread(target=cancel).start()
        stopwatch.restart()
        for _ in source.frames():
            first.set()
        assert stopwatch.seconds < 5  # a live one, or one in a loop, would go on for ever


@replayed_sources
def test_a_source_that_can_be_read_again_gives_the_same_pictures_again(make: Make) -> None:
    first, second = read(make(), 15), read(make(), 15)
    assert [(f.major, f.minor) for f in first] == [(f.major, f.minor) for f in second]
    assert all((a.image.data == b.image.data).all() for a, b in zip(first, second, strict=True))


@replayed_sources
@pytest.mark.parametrize("after", [0, 4, 5, 8, 10])
def test_it_goes_on_behind_any_place(make: Make, after: int) -> None:
    whole = read(make())
    rest = read(make(), LENGTH - after - 1, after=After(0, after, whole[after].captured_at))
    assert [f.minor for f in rest] == list(range(after + 1, LENGTH))
    for frame in rest:
        assert (frame.image.data == whole[frame.minor].image.data).all()
        assert frame.captured_at == pytest.approx(whole[frame.minor].captured_at, abs=1e-6)


@replayed_sources
def test_its_identity_is_known_once_open_and_stays(make: Make) -> None:
    identities = set()
    for _ in range(2):
        with closing(make()) as source:
            source.open()
            identities.add(source.identity)
    assert len(identities) == 1
    assert "" not in identities


@live_sources
def test_a_live_source_says_so_and_has_no_identity(make: Make) -> None:
    source = make()
    with closing(source):
        source.open()
        assert source.live
        assert source.identity == ""


@pytest.mark.parametrize("make", [*REPLAYED[:-1], *LIVE[:-1]], indirect=True)
def test_the_numbers_in_the_pixels_follow_each_other(make: Make) -> None:
    numbers = [number(frame) for frame in read(make())]
    assert None not in numbers
    first = numbers[0] or 0
    assert numbers == list(range(first, first + LENGTH))


@pytest.mark.parametrize("make", ["file"], indirect=True)
def test_a_files_capture_times_are_those_of_its_time_stamps(make: Make) -> None:
    before = time.time()
    frames = read(make())
    assert before <= frames[0].captured_at <= time.time()
    assert frames[-1].captured_at - frames[0].captured_at == pytest.approx((LENGTH - 1) / 30, abs=1e-3)
    assert {f.clock for f in frames} == {Clock.MEDIA}
    assert {f.image.format for f in frames} == {PixelFormat.YUV420P}


@pytest.mark.parametrize("make", ["paced looped file", "looped folder"], indirect=True)
def test_a_loop_starts_over_with_a_higher_major(make: Make) -> None:
    frames = read(make(), 2 * LENGTH + 3)
    assert [(f.major, f.minor) for f in frames] == [(i // LENGTH, i % LENGTH) for i in range(2 * LENGTH + 3)]
    assert all(a.captured_at < b.captured_at for a, b in pairwise(frames))


@pytest.mark.parametrize("make", ["paced looped file"], indirect=True)
def test_a_paced_file_takes_its_time(make: Make) -> None:
    started = time.monotonic()
    read(make(), 25)
    assert time.monotonic() - started >= 24 / 30 - 0.05


def test_far_behind_a_live_source_gives_keyframes_only_until_it_has_caught_up(tmp_path: Path) -> None:
    path = record(tmp_path / "live.mp4", length=15, b_frames=0)
    settings = {"camera_id": "cam", "url": str(path), "live": True, "keyframes_only_behind_s": 1.0}
    clock = ManualClock(100.0)
    numbers, left_out = [], []
    with closing(AvSource(CameraSettings.model_validate(settings), monotonic=clock)) as source:
        source.open()
        for item in islice(source.frames(), 15):
            if isinstance(item, BadFrame):
                left_out.append(item)
                continue
            numbers.append(number(whole(item)))
            if numbers[-1] == 1:
                clock.advance(2.0)  # as long as its consumer took
            if numbers[-1] == 5:
                clock.advance(-2.0)
    assert numbers == [0, 1, 5, 10, 11, 12, 13, 14]
    assert left_out == [BadFrame("behind")] * 7


def spoilt_clip(folder: Path) -> Path:
    """A video that says all about itself and holds nothing that can be decoded."""
    path = record(folder / "spoilt.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat")
    end = at - 4 + int.from_bytes(data[at - 4 : at], "big")
    data[at + 4 : end] = b"\xff" * (end - at - 4)
    path.write_bytes(data)
    return path


def spoilt_folder(folder: Path) -> Path:
    for n in range(3):
        (folder / f"{n}.png").write_text("no picture")
    return folder


@pytest.mark.parametrize("spoilt", [spoilt_clip, spoilt_folder])
@pytest.mark.parametrize("loop", [False, True])
def test_what_holds_no_readable_picture_is_invalid_and_not_a_success(
    spoilt: Callable[[Path], Path], loop: bool, tmp_path: Path
) -> None:
    settings = {"camera_id": "cam", "url": str(spoilt(tmp_path)), "loop": loop}
    with closing(make_source(CameraSettings.model_validate(settings))) as source:
        source.open()
        with pytest.raises(SourceInvalid, match="holds no picture that can be"):
            assert [item for item in source.frames() if isinstance(item, SourceFrame)] == []


def test_a_loop_shorter_than_the_time_between_two_wanted_pictures_goes_on(clip: Path) -> None:
    settings = {"camera_id": "cam", "url": str(clip), "loop": True, "fps": 1}
    frames = read(make_source(CameraSettings.model_validate(settings)), 4)
    assert [frame.captured_at - frames[0].captured_at for frame in frames] == pytest.approx([0, 1, 2, 3], abs=0.3)
