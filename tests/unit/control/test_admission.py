"""Which addresses a camera may be given by the API."""

import pytest

from pipeline.config_errors import ConfigError
from pipeline.control.cameras.admission import require_admissible

SCHEMES = ("rtsp", "http", "https", "rtmp")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "HTTP://169.254.169.254/",
        "https://user:password@169.254.169.254/",
        "http://169.254.1.1:8080/x",
        "http://0xa9fea9fe/",
        "http://2852039166/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://169.254.169.254./",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:a9fe:a9fe::1]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1%25eth0]/",
        "rtmp://169.254.169.254/live",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://0xa9fea9fe/@public.example.com/x",
        "http://169.254.169.254#@public.example.com/",
    ],
)
def test_where_clouds_keep_secrets_no_camera_is_read(url: str) -> None:
    with pytest.raises(ConfigError, match=r"cameras.cam.url"):
        require_admissible("cam", {"url": url}, SCHEMES)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://user:pa%40ss@10.0.0.7:554/stream1",
        "rtsp://169.254.12.7/zeroconf",
        "http://10.0.0.7/@2x.jpg",
        "http://camera.example.com/live.m3u8",
        "https://[2001:db8::7]:8443/live",
        "http://127.0.0.1:8080/clip",
    ],
)
def test_cameras_are_read_wherever_they_are(url: str) -> None:
    require_admissible("cam", {"url": url, "fps": 5, "options": {"fflags": "nobuffer"}}, SCHEMES)


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://10.0.0.7/\r\nX-Evil: 1"},
        {"url": "rtsp://10.0.0.7/a b"},
        {"options": {"user_agent": "x\r\nEvil: 1"}},
        {"options": {"user_agent": "***"}},
        {"options": {"rtsp_flags": "listen"}},
        {"station": "x" * 20_000},
        {"url": "ftp://10.0.0.7/x"},
        {"url": "file:/etc/passwd"},
    ],
)
def test_what_could_smuggle_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        require_admissible("cam", given, SCHEMES)
