"""`snapshot` opens a camera by the config in Redis and draws what is set for it and what is seen there."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np
import orjson
import pytest
from redis.asyncio import Redis

from pipeline.demo.rtsp_server import RtspServer
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.look import take_pictures
from pipeline.ingest.source import SourceError
from tests.services.cli.conftest import Rayline, Site
from tests.services.rtsp.client import numbered, soon
from tests.stopwatch import Stopwatch
from tests.unit.config.site import SITE

pytestmark = pytest.mark.services

GOLDEN = Path(__file__).parents[2] / "golden" / "detection-1.0.json"


@pytest.fixture
def camera() -> Iterator[RtspServer]:
    server = RtspServer(user="viewer", password="hush-hush")
    server.add_stream("a", soon(), numbered())
    with server:
        yield server


@pytest.fixture
def live(site: Site, camera: RtspServer) -> Site:
    """cam-1 of the published config is the server's stream."""
    site.publish(SITE.replace("rtsp://viewer:hush-hush@192.0.2.1/a", camera.url("a")))
    return site


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for level in range(5):
            picture = np.full((240, 320, 3), 40 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_live_camera_is_pictured_with_trigger_and_grid(rayline: Rayline, live: Site, tmp_path: Path) -> None:
    result = rayline("snapshot", "cam-1", "-o", str(tmp_path / "x.jpg"))
    assert result.exit_code == 0, result.output
    assert "640x360, 0 objects" in result.stdout
    assert "hush-hush" not in result.output
    image = cv2.imread(str(tmp_path / "x.jpg"))
    assert image.shape == (360, 640, 3)
    blue, green, red = image[200:300, 384].mean(axis=0)
    assert red > 150 > max(blue, green), "the trigger at 0.6 of the width"


def test_the_boxes_of_that_moment_are_drawn(rayline: Rayline, live: Site, tmp_path: Path) -> None:
    async def lay(client: Redis) -> None:
        for ahead_s in np.arange(-1.0, 60.0, 0.25):
            at = datetime.fromtimestamp(time.time() + float(ahead_s), UTC).isoformat()
            message = orjson.loads(GOLDEN.read_bytes()) | {"camera": "cam-1", "line": "filling", "captured_at": at}
            entry = {"message_id": "m", "data": orjson.dumps(message)}
            await client.xadd("rayline:{filling}:detections:cam-1", entry)  # type: ignore[arg-type]

    live._run(lay)
    result = rayline("snapshot", "cam-1", "-o", str(tmp_path / "x.jpg"))
    assert result.exit_code == 0, result.output
    assert f"{len(orjson.loads(GOLDEN.read_bytes())['objects'])} objects" in result.stdout


def test_a_file_needs_nothing_running(rayline: Rayline, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "parts.pt").touch()
    config = tmp_path / "site.yaml"
    config.write_text(SITE.replace("rtsp://viewer:hush-hush@192.0.2.1/a", "file:clip.mp4"))
    result = rayline(
        "snapshot",
        "cam-1",
        "-o",
        str(tmp_path / "x.png"),
        "--config",
        str(config),
        "--no-grid",
        "--redis",
        "redis://h:1",
    )
    assert result.exit_code == 0, result.output
    assert cv2.imread(str(tmp_path / "x.png")).shape == (240, 320, 3)


def test_a_wrong_password_is_told_without_it(rayline: Rayline, site: Site, camera: RtspServer, tmp_path: Path) -> None:
    address = camera.url("a").replace("hush-hush", "hush-wrong")
    site.publish(SITE.replace("rtsp://viewer:hush-hush@192.0.2.1/a", address))
    result = rayline("snapshot", "cam-1", "-o", str(tmp_path / "x.jpg"))
    assert isinstance(result.exception, SourceError)
    assert "hush-wrong" not in str(result.exception)
    assert not (tmp_path / "x.jpg").exists()


def test_an_unknown_camera_is_a_wrong_command(rayline: Rayline, site: Site, tmp_path: Path) -> None:
    site.publish()
    result = rayline("snapshot", "cam-11", "-o", str(tmp_path / "x.jpg"))
    assert result.exit_code == 2
    assert "'cam-1'" in result.output


def test_a_mute_camera_is_given_up_in_time(camera: RtspServer, stopwatch: Stopwatch) -> None:
    camera.freeze("a")
    settings = CameraSettings.model_validate({"url": camera.url("a"), "read_timeout_s": 1, "open_timeout_s": 2})
    stopwatch.restart()
    with pytest.raises(SourceError):
        take_pictures(settings, timeout_s=3)
    assert stopwatch.seconds < 8
