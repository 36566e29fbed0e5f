"""docs/schema.md shows messages as they are."""

import json
import re
from pathlib import Path

import pytest

from stages.results import export_schemas, parse_message
from tests.unit.results.test_golden import BUILT

DOC = (Path(__file__).parents[3] / "docs" / "schema.md").read_text()
EXAMPLES = {
    json.loads(block)["schema"].split("/")[0].removeprefix("rayline."): block
    for block in re.findall(r"```json\n(.*?)```", DOC, re.DOTALL)
}


def test_every_message_has_its_example() -> None:
    assert EXAMPLES.keys() == BUILT.keys()


@pytest.mark.parametrize("name", BUILT)
def test_the_example_is_a_real_message(name: str) -> None:
    parse_message(EXAMPLES[name].encode())
    assert json.loads(EXAMPLES[name]) == json.loads(BUILT[name])


@pytest.mark.parametrize("name", BUILT)
def test_every_field_is_told_of(name: str) -> None:
    told = set(re.findall(r"`([a-z_0-9]+)`", DOC))
    assert set(export_schemas()[name]["properties"]) <= told
