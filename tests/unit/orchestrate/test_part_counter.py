"""Where a line's own count comes from, as it is written in a config file."""

import pytest

from pipeline.config import config_data, config_of_data
from pipeline.config_errors import ConfigError
from tests.unit.config.site import SITE, config_from

URL = "http://plc:s3cret@192.0.2.9:8080/parts?token=abc123"


def with_counter(counter: str) -> str:
    return SITE.replace("{recipe: check}", f"{{recipe: check, part_counter: {counter}}}")


@pytest.mark.parametrize(
    ("counter", "told"),
    [
        pytest.param("{}", "one of `stream` (a key in Redis) and `url`", id="neither"),
        pytest.param("{stream: plc, url: 'http://h/'}", "one of `stream` (a key in Redis) and `url`", id="both"),
        pytest.param("{url: 'ftp://viewer:s3cret@h/n'}", "must be http://host[:port]/path", id="another scheme"),
        pytest.param("{url: 'http:///n'}", "must be http://host[:port]/path", id="no host"),
        pytest.param("{url: 'http://h:x/n'}", "must be http://host[:port]/path", id="no port"),
        pytest.param("{stream: ''}", "at least 1 character", id="no key"),
    ],
)
def test_a_counter_that_cannot_be_is_refused_where_it_stands(counter: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_from(with_counter(counter))
    assert "site.yaml:13: lines.filling.part_counter" in str(refused.value)
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_its_password_is_shown_nowhere_and_kept_in_the_store() -> None:
    config = config_from(with_counter(f"{{url: '{URL}'}}"))
    counter = config.lines["filling"].part_counter
    assert counter is not None
    assert counter.address == "http://plc:***@192.0.2.9:8080/parts?token=***"
    for shown in (repr(config), config.model_dump_json()):
        assert "s3cret" not in shown
        assert "abc123" not in shown
    kept = config_of_data(config_data(config)).lines["filling"].part_counter
    assert kept == counter


def test_parts_are_counted_at_the_one_camera_that_says_so_or_stands_alone() -> None:
    config = config_from(SITE.replace("    fps: 15", "    counts: true"))
    (counting, alone) = (config.counting_camera("filling"), config.counting_camera("gate"))
    assert (counting and counting.camera_id, alone and alone.camera_id) == ("cam-1", "gate")
    assert config_from(SITE).counting_camera("filling") is None
