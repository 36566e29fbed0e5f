"""Environment, secret files and relative paths are put in when the file is read, and nowhere else."""

from pathlib import Path

import pytest

from pipeline.config import config_data, config_of_data, load_config
from pipeline.config_errors import ConfigError
from pipeline.config_file import parse_document
from tests.unit.config.site import SITE, config_from


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        pytest.param("a: ${NAME}", {"NAME": "x"}, "x", id="whole"),
        pytest.param("a: rtsp://${USER}:${PW}@h", {"USER": "u", "PW": "p"}, "rtsp://u:p@h", id="several in one"),
        pytest.param("a: ${NAME:-fallback}", {}, "fallback", id="default"),
        pytest.param("a: ${NAME:-fallback}", {"NAME": ""}, "fallback", id="empty counts as not set"),
        pytest.param("a: ${NAME:-}", {}, "", id="empty default"),
        pytest.param("a: ${NAME}", {"NAME": ""}, "", id="empty without default is empty"),
        pytest.param("a: $${NAME}", {}, "${NAME}", id="escaped"),
        pytest.param("a: $NAME", {"NAME": "x"}, "$NAME", id="bare dollars are left alone"),
        pytest.param("a: ${NAME}", {"NAME": "x: {y: [1]}"}, "x: {y: [1]}", id="a value cannot change the structure"),
        pytest.param("a: ${NAME}", {"NAME": "${OTHER}"}, "${OTHER}", id="not expanded twice"),
    ],
)
def test_environment_is_put_in(text: str, environ: dict[str, str], value: str) -> None:
    assert parse_document(text, environ=environ).data == {"a": value}


def test_a_missing_variable_is_told_with_line_and_the_nearest_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document("a: 1\nb: [x, '${CAMERA_PASSWRD}']", "site.yaml", environ={"CAMERA_PASSWORD": "p"})
    assert "site.yaml:2: b[1]: the environment has no CAMERA_PASSWRD" in str(caught.value)
    assert "there is CAMERA_PASSWORD" in str(caught.value)


def test_numbers_may_come_from_the_environment() -> None:
    assert config_from(SITE.replace("fps: 15", "fps: ${FPS}"), FPS="12.5").cameras["cam-1"].fps == 12.5


def test_an_address_is_read_from_its_file_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("rtsp://u:from-file@192.0.2.1/a\n")
    text = SITE.replace("url: rtsp://viewer:hush-hush@192.0.2.1/a", "url_file: address")
    url = config_from(text, tmp_path).cameras["cam-1"].url
    assert url.get_secret_value() == "rtsp://u:from-file@192.0.2.1/a"
    assert "from-file" not in str(url)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(None, "No such file", id="not there"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"x" * 5000, "is too long", id="not a secret but some file"),
        pytest.param(b"\xff\xfe", "is not text", id="binary"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "address").write_bytes(content)
    text = SITE.replace("url: rtsp://viewer:hush-hush@192.0.2.1/a", "url_file: address")
    with pytest.raises(ConfigError, match=told) as caught:
        config_from(text, tmp_path)
    assert "site.yaml:16: cameras.cam-1.url_file" in str(caught.value)


def test_a_secret_given_in_both_ways_is_refused() -> None:
    with pytest.raises(ConfigError, match="not both"):
        config_from(SITE.replace("    fps: 15", "    url_file: address"))


def test_relative_paths_start_at_the_config_file(tmp_path: Path) -> None:
    text = SITE.replace("rtsp://192.0.2.2/b", "file:clips/b.mp4").replace("rtsp://192.0.2.3/c", "clips/c.mp4")
    (tmp_path / "site.yaml").write_text(
        text + "snapshots: {uri: pictures}\nredis: {data_dir: /var/lib/rayline}\nspool: {dir: late}\n"
    )
    config = load_config(tmp_path / "site.yaml", {})
    assert config.models["parts"].weights == str(tmp_path / "parts.pt")
    assert config.cameras["cam-2"].url.path == str(tmp_path / "clips/b.mp4")
    assert config.cameras["gate"].url.path == str(tmp_path / "clips/c.mp4")
    assert config.snapshots is not None
    assert config.snapshots.uri == str(tmp_path / "pictures")
    assert config.redis.data_dir == Path("/var/lib/rayline")
    assert config.spool is not None
    assert config.spool.dir == tmp_path / "late"


@pytest.mark.parametrize("weights", ["/models/a.pt", "s3://models/a.pt"])
def test_absolute_weights_stay_as_they_are(weights: str) -> None:
    assert config_from(SITE.replace("parts.pt", weights)).models["parts"].weights == weights


def test_builtin_weights_lie_in_the_package() -> None:
    weights = Path(config_from(SITE.replace("parts.pt", "'builtin:bottles'")).models["parts"].weights)
    assert weights.parts[-4:-1] == ("pipeline", "demo", "weights")
    assert weights.stem == "bottles"


def test_a_file_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "line.yaml").touch()
    with pytest.raises(ConfigError, match=r"no such file\n.*line\.yaml"):
        load_config(tmp_path / "lines.yaml")


def test_a_config_comes_back_the_same_from_its_plain_data() -> None:
    config = config_from(SITE + "redis: {url: 'redis://:pw@192.0.2.9:6379/1'}\n")
    again = config_of_data(config_data(config))
    assert again == config
    assert again.cameras["cam-1"].url.get_secret_value() == "rtsp://viewer:hush-hush@192.0.2.1/a"
    assert again.redis.url.get_secret_value() == "redis://:pw@192.0.2.9:6379/1"


def test_an_empty_file_is_a_config_without_cameras() -> None:
    assert config_from("").camera_ids() == ()
