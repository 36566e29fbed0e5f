"""Within a major version fields are only added: the stored messages are how that is held."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from stages.results import export_schemas, parse_message
from stages.results.messages import detection_message, event_message, inspection_message, uninspected_message
from tests.unit.results import builders as b

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
SCHEMAS = ROOT / "configs" / "schemas"

BUILT = {
    "detection": detection_message(b.result(), b.CONTEXT, b.PUBLISHED_AT),
    "event": event_message(b.EVENT, b.result(), b.CONTEXT, b.PUBLISHED_AT),
    "inspection": inspection_message(b.INSPECTION, b.result(), b.CONTEXT, b.PUBLISHED_AT),
    "uninspected": uninspected_message(b.UNINSPECTED, b.result(), b.CONTEXT, b.PUBLISHED_AT),
}


def _newest(name: str) -> Path:
    return max(GOLDEN.glob(f"{name}-1.*.json"), key=lambda path: int(path.stem.rsplit(".", 1)[1]))


def _every_golden() -> list[Path]:
    return sorted(path for name in BUILT for path in GOLDEN.glob(f"{name}-*.json"))


def _shape(value: Any) -> Any:
    """Field names and JSON types, whatever the values."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    return type(value).__name__


def _holds(shape: Any, older: Any) -> bool:
    if isinstance(older, dict):
        return isinstance(shape, dict) and all(key in shape and _holds(shape[key], older[key]) for key in older)
    return bool(shape == older)


@pytest.mark.parametrize("name", BUILT)
def test_the_same_result_still_gives_the_same_message(name: str) -> None:
    assert json.loads(BUILT[name]) == json.loads(_newest(name).read_bytes())


@pytest.mark.parametrize("path", _every_golden(), ids=lambda path: path.stem)
def test_every_message_ever_published_still_parses(path: Path) -> None:
    assert parse_message(path.read_bytes()).message_id


@pytest.mark.parametrize("path", _every_golden(), ids=lambda path: path.stem)
def test_no_field_is_ever_taken_away_or_changes_its_type(path: Path) -> None:
    name = path.stem.rsplit("-", 1)[0]
    assert _holds(_shape(json.loads(BUILT[name])), _shape(json.loads(path.read_bytes())))


@pytest.mark.parametrize("name", BUILT)
def test_the_schema_files_are_current(name: str) -> None:
    stored = json.loads((SCHEMAS / f"{name}.json").read_text())
    assert stored == export_schemas()[name], "stale: docs/schema.md, 'Changing the schema', tells how to write it"


@pytest.mark.parametrize("name", BUILT)
def test_messages_fit_their_schema(name: str) -> None:
    schema = export_schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == json.loads(BUILT[name])["schema"]
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(BUILT[name]))


def test_the_schema_of_each_message_allows_fields_added_later() -> None:
    for name, schema in export_schemas().items():
        later = json.loads(BUILT[name]) | {"schema": f"rayline.{name}/1.9", "added_later": 1}
        Draft202012Validator(schema).validate(later)
