"""What FFmpeg is asked for."""

import pytest

from pipeline.ingest.av_source import AvSource
from pipeline.ingest.camera_settings import CameraSettings


@pytest.mark.parametrize(
    ("fps", "options", "asked"),
    [
        pytest.param(None, {}, {}, id="what the device gives"),
        pytest.param(12.5, {}, {"framerate": "12.5"}, id="a rate"),
        pytest.param(30, {"input_format": "mjpeg"}, {"framerate": "30", "input_format": "mjpeg"}, id="a format"),
        pytest.param(5, {"framerate": "30"}, {"framerate": "30"}, id="options win"),
    ],
)
def test_a_capture_device_is_opened_by_its_path_with_rate_and_options(
    fps: float | None, options: dict[str, str], asked: dict[str, str]
) -> None:
    settings = CameraSettings(url="v4l2:/dev/video0", fps=fps, options=options)
    assert AvSource(settings)._target() == ("/dev/video0", "video4linux2,v4l2", asked)
    assert AvSource(settings).live
