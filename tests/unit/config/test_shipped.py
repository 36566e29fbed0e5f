"""The files in configs/: examples that work, and schemas that are current."""

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from pipeline.commands.schema import CONFIG_SCHEMA, all_schemas, schema_file, schema_text
from pipeline.config import load_config
from pipeline.config_checks import review
from pipeline.config_errors import dotted
from tests.unit.config.site import site

CONFIGS = Path(str(resources.files("configs")))
EXAMPLES = sorted(CONFIGS.glob("*.yaml"))
SCHEMAS = all_schemas()  # once: the config's takes most of a second
CONFIG = SCHEMAS[CONFIG_SCHEMA]


def test_there_are_examples() -> None:
    assert {"demo.yaml", "rtsp.example.yaml", "kafka.example.yaml"} <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_good_config(path: Path) -> None:
    findings = review(load_config(path, {}), machine=None)
    told = {dotted(f.problem.path): f.problem for f in findings if "weights" not in dotted(f.problem.path)}
    if path.name == "demo.yaml":
        told.pop("history", None)  # it is to forget, as the demo's Redis does
    assert told == {}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_editor_finds_nothing_wrong_in_an_example(path: Path) -> None:
    jsonschema.Draft202012Validator(CONFIG).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_shipped_schema_is_current(name: str) -> None:
    shipped = (CONFIGS / "schemas" / schema_file(name)).read_text()
    assert shipped == schema_text(SCHEMAS[name]), "run: rayline schema --out configs/schemas"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize(
    ("camera", "good"),
    [
        pytest.param({"url": "rtsp://h/a", "recipe": "watch"}, True, id="as it should be"),
        pytest.param({"url_file": "address", "recipe": "watch"}, True, id="address from a file"),
        pytest.param({"url": "rtsp://h/a", "fps": "${FPS:-10}"}, True, id="a number from the environment"),
        pytest.param({"url": "rtsp://h/a", "fps": "ten"}, False, id="a number in words"),
        pytest.param({"recipe": "watch"}, False, id="no address"),
        pytest.param({"url": "rtsp://h/a", "fbs": 10}, False, id="a typo"),
        pytest.param({"url": "rtsp://h/a", "camera_id": "x"}, False, id="the name is the key"),
    ],
)
def test_an_editor_judges_a_camera_as_rayline_does(camera: dict[str, object], good: bool) -> None:
    data = site()
    data["cameras"]["one"] = camera
    assert jsonschema.Draft202012Validator(CONFIG).is_valid(data) is good


def test_no_secret_stands_in_a_schema() -> None:
    assert "**" not in json.dumps(CONFIG)
