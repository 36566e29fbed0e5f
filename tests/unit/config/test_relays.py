"""The `relays` section: what is refused with its line, what is warned of, and what it asks of the machine."""

from pathlib import Path

import pytest

from pipeline.config import config_data, config_of_data
from pipeline.config_checks import review
from pipeline.config_errors import ConfigError
from pipeline.preflight import NoRoom, require_room
from pipeline.relays.settings import JsonLinesRelaySettings, KafkaRelaySettings
from tests.unit.config.site import SITE, config_from

RELAYS = """\
relays:
  plant:
    kind: kafka
    brokers: [kafka-1]
    security_protocol: SASL_SSL
    username: line-3
    password: pa55-w0rd
    ca_file: plant-ca.pem
  disk:
    kind: jsonl
    folder: results
    lines: [filling]
"""


def test_both_kinds_are_read_and_their_files_start_at_the_configs_folder() -> None:
    config = config_from(SITE + RELAYS)
    plant, disk = config.relays["plant"], config.relays["disk"]
    assert isinstance(plant, KafkaRelaySettings)
    assert isinstance(disk, JsonLinesRelaySettings)
    assert (plant.brokers, plant.ca_file) == (("kafka-1:9092",), Path("/site/plant-ca.pem"))
    assert (disk.folder, disk.lines) == (Path("/site/results"), ("filling",))
    assert config.line_ids() == ("filling", "gate")


def test_the_store_gives_back_what_it_was_given_and_no_screen_shows_the_password() -> None:
    config = config_from(SITE + RELAYS)
    assert config_of_data(config_data(config)) == config
    assert "pa55-w0rd" not in repr(config)


@pytest.mark.parametrize(
    ("right", "wrong", "where", "told"),
    [
        pytest.param("kind: kafka", "kind: kafak", "relays.plant", "kafka", id="a kind there is none of"),
        pytest.param("brokers: [kafka-1]", "broker: kafka-1", "relays.plant.broker: unknown", "brokers", id="a typo"),
        pytest.param("folder: r", "foldr: r", "relays.disk.foldr: unknown", "mean 'folder'?", id="a typo of files"),
        pytest.param("[kafka-1]", "[user:pw@kafka-1]", "relays.plant.brokers", "host:port", id="no broker"),
        pytest.param("    folder: results\n", "", "relays.disk.folder: is needed", "Where the files are", id="missing"),
        pytest.param("    password: pa55-w0rd\n", "", "relays.plant", "password_file", id="no password"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(right: str, wrong: str, where: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_from(SITE + RELAYS.replace(right, wrong))
    assert where in str(refused.value)
    assert told in str(refused.value)
    assert "pa55-w0rd" not in str(refused.value)


def test_relays_that_would_write_into_each_other_and_lines_without_a_camera_are_found(tmp_path: Path) -> None:
    (tmp_path / "parts.pt").write_bytes(b"weights")
    relays = RELAYS.replace("[filling]", "[filing]") + "  again: {kind: jsonl, folder: results}\n"
    found = [finding.problem.text("site.yaml") for finding in review(config_from(SITE + relays, tmp_path))]
    assert any("relays.again.folder: relay 'disk' writes there" in text for text in found)
    assert any("relays.disk.lines: no camera is on line 'filing'" in text and "'filling'" in text for text in found)


def test_their_process_is_counted_only_where_there_are_any() -> None:
    elsewhere = SITE + "redis: {url: 'redis://192.0.2.9:6379/0'}\n"
    require_room(config_from(elsewhere), [{"CPU": 0.95}])
    with pytest.raises(NoRoom, match="asks for 1 cores"):
        require_room(config_from(elsewhere + RELAYS), [{"CPU": 0.95}])
