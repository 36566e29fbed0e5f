"""Addresses that do not give their password away."""

import pickle
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pydantic import ValidationError

from pipeline.ingest.address import SecretUrl, mask, read_secret
from pipeline.ingest.camera import CameraSettings

NASTY = "rtsp://admin:p@ss/w#rd%3A1@10.0.0.7:554/Streaming/101"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("rtsp://admin:hunter2@cam/1", id="plain"),
        pytest.param("rtsp://admin:hunt%65r2@cam/1", id="percent-encoded"),
        pytest.param("http://cam/video.cgi?user=admin&password=hunter2&res=hd", id="in the query"),
        pytest.param("rtsp://cam:554/user=admin_password=hunter2_channel=1.sdp", id="in the path"),
        pytest.param("rtsp://admin:hunter2@x@cam/1", id="at signs in it"),
        pytest.param("rtsp://admin:hunter2/x#@cam/1", id="slashes and hashes in it"),
        pytest.param("RTSP://admin:hunter2@cam/1", id="scheme in capitals"),
        pytest.param("rtsp://admin:hunt'er2@cam/1", id="a quote in it"),
        pytest.param('rtsp://admin:"hunter2"@cam/1', id="double quotes round it"),
        pytest.param("rtsp://admin:<hunter2>@cam/1", id="angle brackets round it"),
        pytest.param("rtsp://admin:my hunter2@cam/1", id="a space in it"),
        pytest.param("rtsp://admin:my@ hunter2@cam/1", id="an at sign and a space in it"),
        pytest.param("http://cam/video.cgi?user=a&psw=my hunter2", id="in the query, with a space"),
        pytest.param("http://cam/video.cgi?loginuse=admin&loginpas=hunter2", id="as many IP cameras want it"),
        pytest.param("rtsp://cam:554/user=admin&pw=hunter2&channel=1", id="in the path, short"),
    ],
)
def test_no_text_form_of_an_address_holds_the_password(raw: str) -> None:
    settings = CameraSettings(camera_id="cam", url=raw)
    for text in (str(settings.url), repr(settings.url), repr(settings), settings.model_dump_json(), f"{settings.url}"):
        assert "hunt" not in text
        assert "cam" in text
    assert settings.url.get_secret_value() == raw


@pytest.mark.parametrize("secret", ["pä ss:w/rd@1", "100%sure", "a+b&c"])
def test_a_known_secret_is_masked_in_every_spelling(secret: str) -> None:
    spelled = {secret, quote(secret), quote(secret, safe=""), quote(secret, safe="").lower()}
    for text in spelled:
        assert mask(f"error in {text}: refused", [secret]) == "error in ***: refused"
    assert "***" in mask(f"rtsp://u:{quote_plus(secret)}@h/", [secret])


def test_text_without_credentials_is_left_alone() -> None:
    text = "rtsp://10.0.0.7/live is slow; see http://host/photos/name@2x.jpg"
    assert mask(text) == text


def test_a_very_short_password_does_not_blank_out_the_text() -> None:
    assert mask("rtsp://u:1@10.0.0.1/1", ["1"]) == "rtsp://u:***@10.0.0.1/1"


def test_credentials_from_files_replace_those_of_the_address() -> None:
    assert SecretUrl("rtsp://cam/1").reveal("admin", "p@ss/1") == "rtsp://admin:p%40ss%2F1@cam/1"
    assert SecretUrl("rtsp://old:older@cam/1").reveal(password="new") == "rtsp://old:new@cam/1"
    assert SecretUrl(NASTY).reveal() == NASTY


@pytest.mark.parametrize(
    ("raw", "shown", "with_login"),
    [
        ("rtsp://10.0.0.5/live@2", "rtsp://10.0.0.5/live@2", "rtsp://bob:s3cret@10.0.0.5/live@2"),
        ("rtsp://10.0.0.5:554/live@2", "rtsp://10.0.0.5:554/live@2", "rtsp://bob:s3cret@10.0.0.5:554/live@2"),
        ("rtsp://a:b@10.0.0.5/live@2", "rtsp://a:***@10.0.0.5/live@2", "rtsp://bob:s3cret@10.0.0.5/live@2"),
        ("rtsp://a:p@s/w@10.0.0.5/live", "rtsp://a:***@10.0.0.5/live", "rtsp://bob:s3cret@10.0.0.5/live"),
    ],
)
def test_a_login_goes_to_the_host_and_nowhere_else(raw: str, shown: str, with_login: str) -> None:
    url = SecretUrl(raw)
    assert str(url) == shown
    assert url.reveal("bob", "s3cret") == with_login


@pytest.mark.parametrize(
    ("raw", "given", "login"),
    [
        ("rtsp://cam/1", (None, None), None),
        ("rtsp://eve@cam/1", (None, None), ("eve", "")),
        ("rtsp://eve:p%40ss%2Fw%25@cam/1", (None, None), ("eve", "p@ss/w%")),
        ("rtsp://eve:old@cam/1", (None, "p@ss"), ("eve", "p@ss")),
        ("rtsp://cam/1", ("bob", "100%25"), ("bob", "100%25")),
    ],
)
def test_user_and_password_are_told_as_they_are_meant(
    raw: str, given: tuple[str | None, str | None], login: tuple[str, str] | None
) -> None:
    assert SecretUrl(raw).login(*given) == login


def test_further_options_are_not_shown() -> None:
    settings = CameraSettings(url="http://cam/1", options={"headers": "Authorization: Basic aHVudGVyMg=="})
    assert "aHVudGVyMg" not in repr(settings) + str(settings)


def test_the_first_line_of_a_secret_file_is_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    assert read_secret(file) == "hunter2"
    assert read_secret(None) is None


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/data/a b.mp4", "/data/a b.mp4"),
        ("clips/x.mp4", "clips/x.mp4"),
        ("file:clips/x.mp4", "clips/x.mp4"),
        ("file:/data/x%20y.mp4", "/data/x%20y.mp4"),
        ("file:///data/x%20y.mp4", "/data/x y.mp4"),
        ("file://localhost/data/x.mp4", "/data/x.mp4"),
        ("v4l2:/dev/video0", "/dev/video0"),
    ],
)
def test_a_path_is_read_from_each_way_to_write_it(raw: str, path: str) -> None:
    assert SecretUrl(raw).path == path


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("rtps://cam/1", "unknown scheme 'rtps'"),
        ("rtsp:///1", "names no host"),
        ("rtsp://user:hunter2@/1", "names no host"),
        ("file:", "names no path"),
    ],
)
def test_an_address_that_can_never_work_is_refused_in_words_without_its_password(raw: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CameraSettings(camera_id="cam", url=raw)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "live"),
    [
        ("rtsp://cam/1", True),
        ("rtmp://host/app/key", True),
        ("http://cam/mjpeg.cgi?x=1", True),
        ("https://host/live/index.m3u8", True),
        ("https://u:p@ss/w@host/clip.MP4?x=1", False),
        ("v4l2:/dev/video0", True),
        ("clip.mp4", False),
    ],
)
def test_what_can_be_read_again_is_not_live(raw: str, live: bool) -> None:
    assert CameraSettings(url=raw).is_live is live


@pytest.mark.parametrize(
    ("raw", "fps", "read_s", "stall_s"),
    [
        pytest.param("rtsp://cam/1", None, 5.0, 10.0, id="as set"),
        pytest.param("rtsp://cam/1", 0.05, 5.0, 40.0, id="two pictures' time at a slow rate"),
        pytest.param("https://u:p@host/live/index.m3u8?t=1", None, 30.0, 30.0, id="between two pieces of HLS"),
        pytest.param("https://host/live/INDEX.M3U8", 0.05, 30.0, 40.0, id="both"),
        pytest.param("http://cam/mjpeg.cgi?x=.m3u8", None, 5.0, 10.0, id="a query is no path"),
    ],
)
def test_silence_that_must_be_is_waited_out(raw: str, fps: float | None, read_s: float, stall_s: float) -> None:
    settings = CameraSettings(url=raw, fps=fps)
    assert (settings.longest_read_s, settings.longest_stall_s) == (read_s, stall_s)


def test_settings_survive_a_journey_to_another_process() -> None:
    settings = CameraSettings(camera_id="cam", url="rtsp://admin:hunter2@cam/1")
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_every_setting_says_what_it_does() -> None:
    schema = CameraSettings.model_json_schema()
    assert all(field.get("description") for field in schema["properties"].values())
