"""What the documents say can be done, can be done: commands, paths, targets, examples and tables, as in the code."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.deployments.spooling import BROKEN, EXPIRED, FULL
from pipeline.ingest.camera_state import ALLOWED
from pipeline.ingest.carrier import _REASONS
from pipeline.ingest.handoff import QUEUE_FULL
from pipeline.ingest.kafka.message import Refusal
from pipeline.ingest.source import BEHIND, DECODE_ERROR
from pipeline.sinks.late_writes import LOST_BY_REDIS, SUPERSEDED
from stages.inspection import verdict
from stages.inspection.settings import InspectionSettings
from stages.values import HealthState
from tests.unit.command_line import parse, rayline_arguments

SPOOL = {FULL, EXPIRED, BROKEN, SUPERSEDED, LOST_BY_REDIS}
ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in DOCS}
WITH_COMMANDS = {**TEXTS, "Makefile": (ROOT / "Makefile").read_text()} | {
    f"configs/{path.name}": path.read_text() for path in (ROOT / "configs").glob("*.yaml")
}
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))

_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?:pipeline|stages|configs|docs|docker|tests|bench|scripts|\.ci)/[\w./-]*")


def blocks(text: str, *kinds: str) -> list[str]:
    return [found["text"] for found in _BLOCK.finditer(text) if found["kind"] in kinds]


def spans(text: str) -> list[str]:
    return _SPAN.findall(_BLOCK.sub("", text))


def typed(name: str) -> Iterator[str]:
    """Lines a reader is told to type, and those a recipe or an example's comment holds."""
    if name.endswith(".md"):
        for block in blocks(TEXTS[name], "console"):
            yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))
    else:
        marks = re.compile(r"^(?:\t@?|#   )(?P<line>\S.*?)(?:  +.*)?$", re.MULTILINE)
        yield from (found["line"] for found in marks.finditer(WITH_COMMANDS[name]))


def everything(kind: str) -> list[tuple[str, str]]:
    """(document, text) of all that is typed, or of all that stands in a sentence as code."""
    if kind == "typed":
        return [(name, line) for name in WITH_COMMANDS for line in typed(name)]
    return [(name, span) for name, text in TEXTS.items() for span in spans(text)]


def test_there_is_something_to_check() -> None:
    """A check that finds no commands would pass every document."""
    commands = [line for name, line in everything("typed") if rayline_arguments(line) is not None]
    assert len(commands) >= 20
    assert any(line.startswith("docker compose") for line in commands)
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/operations.md"} <= TEXTS.keys()


@pytest.mark.parametrize(("name", "line"), everything("typed"))
def test_a_command_to_type_is_one_rayline_knows(name: str, line: str) -> None:
    arguments = rayline_arguments(line)
    if arguments is not None:
        parse(arguments)


def test_a_command_in_a_sentence_is_one_rayline_knows() -> None:
    for name, span in everything("spans"):
        arguments = rayline_arguments(span) if span.startswith("rayline ") else None
        if arguments is None or "|" in arguments:
            continue
        try:
            parse(arguments, may_lack=True)
        except Exception as exc:
            pytest.fail(f"{name}: `{span}`: {exc}")


@pytest.mark.parametrize("line", ["rayline status --onse", "rayline stats", "rayline cameras ad x", "rayline snapshot"])
def test_a_wrong_command_is_noticed(line: str) -> None:
    arguments = rayline_arguments(line)
    assert arguments is not None
    with pytest.raises(Exception, match=r"[Nn]o such|there is no|Missing"):
        parse(arguments)


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    here = (ROOT / name).parent
    for link in _LINK.findall(_BLOCK.sub("", TEXTS[name])):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = here / path if path else ROOT / name
        assert target.exists(), f"{name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, link


@pytest.mark.parametrize("name", TEXTS)
def test_paths_are_there(name: str) -> None:
    for span in spans(TEXTS[name]):
        if _PATH.fullmatch(span) and "NAME" not in span:
            assert (ROOT / span).exists(), f"{name}: {span}"


@pytest.mark.parametrize("name", TEXTS)
def test_make_targets_and_modules_are_there(name: str) -> None:
    code = [*spans(TEXTS[name]), *(line for line in typed(name))]
    for text in code:
        if found := re.match(r"make ([a-z-]+)", text):
            assert found[1] in TARGETS, f"{name}: {text}"
        if found := re.match(r"python -m ([\w.]+)", text):
            assert importlib.util.find_spec(found[1]) is not None, f"{name}: {text}"


@pytest.mark.parametrize("name", TEXTS)
def test_examples_can_be_read(name: str) -> None:
    for block in blocks(TEXTS[name], "json"):
        assert isinstance(json.loads(block), dict)
    for block in blocks(TEXTS[name], "yaml"):
        assert isinstance(yaml.safe_load(block), dict)


def column(name: str, heading: str) -> list[str]:
    """The code in the first column of the table whose first heading is this one."""
    table = TEXTS[name].split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [cell for row in table.splitlines()[2:] for cell in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_every_drop_reason_is_told() -> None:
    reasons = {QUEUE_FULL, BEHIND, DECODE_ERROR, *_REASONS.values(), *SPOOL}
    assert set(column("docs/operations.md", "reason")) == reasons
    (told,) = [line for line in TEXTS["docs/schema.md"].splitlines() if line.startswith("| `dropped_since_last`")]
    assert set(re.findall(r"`(\w+)`", told)) == {"dropped_since_last", *reasons}


def test_every_reason_a_message_is_refused_for_is_told() -> None:
    assert set(column("docs/kafka.md", "code")) == set(Refusal)


def test_every_camera_state_is_told_with_where_it_leads() -> None:
    table = TEXTS["docs/operations.md"].split("| state |", 1)[1].split("\n\n", 1)[0]
    told = {}
    for row in table.splitlines()[2:]:
        state, _, after = (cell.strip() for cell in row.strip("|").split("|"))
        told[state.strip("`")] = set() if after == "for good" else set(after.split(", "))
    assert told == {state.value: {to.value for to in after} for state, after in ALLOWED.items()}


def test_every_reason_for_indeterminate_is_told() -> None:
    reasons = {getattr(verdict, name) for name in vars(verdict) if name.isupper()}
    assert len(reasons) >= 6
    assert reasons | {state.value for state in HealthState if state is not HealthState.OK} <= set(
        column("docs/inspection.md", "reason")
    )


def test_the_explained_recipe_is_the_demos() -> None:
    (block,) = blocks(TEXTS["docs/inspection.md"], "yaml")
    demo = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    explained = yaml.safe_load(block)["inspection"]
    assert explained == demo["recipes"]["bottles"]["inspection"]
    InspectionSettings.model_validate(explained)


def test_the_index_of_decisions_is_complete() -> None:
    folder = ROOT / "docs" / "decisions"
    records = {path.name for path in folder.glob("[0-9]*.md")}
    assert records == set(_LINK.findall(TEXTS["docs/decisions/README.md"]))
    for record in records:
        assert re.search(r"\*\*(Decision|Decided)\.\*\*", TEXTS[f"docs/decisions/{record}"]), record
