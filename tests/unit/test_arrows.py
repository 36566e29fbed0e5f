"""Imports run one way: a stage knows no pipeline, a camera's process no model, and nobody the command line."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("stages", "pipeline")

SHARED_STAGES = {
    "stages.values",
    "stages.verdicts",
    "stages.trace",
    "stages.geometry",
    "stages.errors",
    "stages.settings",
}
RAY_ROOMS = (
    "pipeline.deployments.",
    "pipeline.ingest.actor",
    "pipeline.orchestrate.nodes",
    "pipeline.orchestrate.supervisor",
    "pipeline.orchestrate.relay_keeper",
    "pipeline.relays.actor",
    "pipeline.app",
    "pipeline.local_ray",
    "pipeline.running",
    "pipeline.observe.metrics",
)
# Never at module level: most processes have no Ray.
RAY_WHEN_ASKED = {"pipeline.local_ray", "pipeline.running", "pipeline.observe.metrics"}
AV_ROOMS = (
    "pipeline.ingest.av_source",
    "pipeline.ingest.av_pictures",
    "pipeline.ingest.av_images",
    "pipeline.ingest.kafka.av_messages",
    "pipeline.ingest.rtsp.av_decoder",
    "pipeline.sinks.annotated_video",
    "pipeline.observe.machine",
    "pipeline.capacity.av_decoding",
    "pipeline.commands.doctor",
    "pipeline.demo.",
)
FACES = ("pipeline.cli", "pipeline.commands")


class Import(NamedTuple):
    """One import in one file. `at_start`: it runs when the module is imported, not when a function is called."""

    importer: str
    name: str  # module, or module.attribute
    at_start: bool
    for_types: bool
    line: int


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import statement of both packages."""
    return tuple(one for name, path in modules().items() for one in _imports_of(name, path))


def _imports_of(module: str, path: Path) -> Iterator[Import]:
    is_package = path.name == "__init__.py"

    def walk(node: ast.AST, at_start: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module, alias.name, at_start, for_types, child.lineno)
            elif isinstance(child, ast.ImportFrom):
                source = _source_of(child, module, is_package)
                for alias in child.names:
                    yield Import(module, f"{source}.{alias.name}", at_start, for_types, child.lineno)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from walk(child, False, for_types)
            elif isinstance(child, ast.If) and _is_type_checking(child.test):
                yield from walk(child, at_start, True)
            else:
                yield from walk(child, at_start, for_types)

    yield from walk(ast.parse(path.read_text(), str(path)), True, False)


def _source_of(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    base = module.split(".")
    base = base[: len(base) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def target_of(one: Import) -> str | None:
    """The module of ours that is imported; None for other people's."""
    if one.name in modules():
        return one.name
    parent = one.name.rpartition(".")[0]
    return parent if parent in modules() else None


def is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room.rstrip(".") or module.startswith(f"{room.rstrip('.')}.") for room in rooms)


def brings_in(one: Import, package: str) -> bool:
    return one.name == package or one.name.startswith(f"{package}.")


def told(wrong: list[Import]) -> str:
    return "\n".join(f"{one.importer}:{one.line} imports {one.name}" for one in wrong)


def refuse(wrong: list[Import]) -> None:
    assert not wrong, told(wrong)


def test_the_walk_finds_the_imports_there_are() -> None:
    """A guard that looks at nothing would pass everything."""
    found = {(one.importer, one.name) for one in imports()}
    assert ("pipeline.app", "ray.serve") in found
    assert ("pipeline.ingest.av_source", "av") in found
    assert ("pipeline.observe.metrics", "ray.util.metrics") in found
    assert len(found) > 400


def test_stages_never_import_pipeline() -> None:
    refuse([one for one in imports() if is_in(one.importer, ("stages",)) and brings_in(one, "pipeline")])


def test_sibling_stages_never_import_each_other() -> None:
    def room(module: str) -> str:
        return ".".join(module.split(".")[:2])

    refuse(
        [
            one
            for one in imports()
            if is_in(one.importer, ("stages",))
            and (target := target_of(one)) is not None
            and room(target) not in {room(one.importer), "stages", *SHARED_STAGES}
        ]
    )


def test_what_stages_share_knows_no_stage() -> None:
    allowed = {
        "stages.errors": set[str](),
        "stages.settings": set[str](),
        "stages.trace": set[str](),
        "stages.verdicts": set[str](),
        "stages.values": {"stages.errors", "stages.trace", "stages.verdicts"},
        "stages.geometry": {"stages.errors", "stages.values"},
    }
    refuse(
        [
            one
            for one in imports()
            if one.importer in allowed
            and (target := target_of(one)) is not None
            and target not in {one.importer, *allowed[one.importer]}
        ]
    )


def test_ray_is_imported_only_where_processes_are_made() -> None:
    refuse([one for one in imports() if brings_in(one, "ray") and not is_in(one.importer, RAY_ROOMS)])


def test_who_needs_ray_only_now_and_then_imports_it_then() -> None:
    refuse(
        [
            one
            for one in imports()
            if brings_in(one, "ray") and one.importer in RAY_WHEN_ASKED and one.at_start and not one.for_types
        ]
    )


def test_pictures_are_decoded_only_in_files_named_so() -> None:
    refuse([one for one in imports() if brings_in(one, "av") and not is_in(one.importer, AV_ROOMS)])


def test_pages_are_made_in_the_dashboard_alone() -> None:
    refuse([one for one in imports() if brings_in(one, "nicegui") and not is_in(one.importer, ("pipeline.dashboard",))])


def test_history_and_alarms_know_neither_api_nor_page() -> None:
    faces = ("pipeline.control", "pipeline.dashboard", "pipeline.app", "pipeline.running", *FACES)
    refuse(
        [
            one
            for one in imports()
            if is_in(one.importer, ("pipeline.history", "pipeline.alarms"))
            and (target := target_of(one)) is not None
            and is_in(target, faces)
        ]
    )


def test_only_the_process_that_serves_it_and_its_settings_bring_in_the_page() -> None:
    outside = [one for one in imports() if not is_in(one.importer, ("pipeline.dashboard",))]
    brought = {one for one in outside if (target := target_of(one)) and is_in(target, ("pipeline.dashboard",))}
    light = {"pipeline.dashboard.settings", "pipeline.dashboard.process"}
    refuse([one for one in brought if one.at_start and target_of(one) not in light])


def test_ingest_and_deployments_know_neither_the_graph_nor_the_command_line() -> None:
    rooms = ("pipeline.ingest", "pipeline.deployments", "pipeline.sinks")
    above = ("pipeline.app", "pipeline.running", "pipeline.client", *FACES)
    refuse(
        [
            one
            for one in imports()
            if is_in(one.importer, rooms) and (target := target_of(one)) is not None and is_in(target, above)
        ]
    )


def test_nothing_imports_the_command_line() -> None:
    refuse(
        [
            one
            for one in imports()
            if not is_in(one.importer, FACES) and (target := target_of(one)) is not None and is_in(target, FACES)
        ]
    )
    refuse([one for one in imports() if target_of(one) == "pipeline.cli"])


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for one in imports():
        target = target_of(one)
        if target is not None and one.at_start and not one.for_types and target != one.importer:
            graph[one.importer].add(target)
    circle = _circle(graph)
    assert not circle, " -> ".join(circle)


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, the first also last; empty where there is none."""
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for following in sorted(graph[module]):
            if circle := visit(following, [*way, module]):
                return circle
        done.add(module)
        return []

    return next((circle for module in sorted(graph) if (circle := visit(module, []))), [])


@pytest.mark.parametrize(
    ("graph", "circle"),
    [
        pytest.param({"a": {"b"}, "b": {"c"}, "c": set()}, [], id="a chain"),
        pytest.param({"a": {"b", "c"}, "b": {"c"}, "c": set()}, [], id="two ways to one end"),
        pytest.param({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"], id="a circle behind a start"),
    ],
)
def test_circles_are_found(graph: dict[str, set[str]], circle: list[str]) -> None:
    assert _circle(graph) == circle


@pytest.mark.parametrize(
    ("module", "without"),
    [
        pytest.param("pipeline.ingest.actor", ("torch", "ultralytics", "openvino", "cv2"), id="a camera's process"),
        pytest.param("pipeline.ingest.kafka.message", ("av", "fsspec", "cv2"), id="what a message is"),
        pytest.param("pipeline.relays.running", ("ray", "torch", "cv2", "av"), id="the relays"),
        pytest.param("pipeline.kafka_settings", ("ray", "torch", "cv2", "av", "aiokafka"), id="a Kafka address"),
        pytest.param("pipeline.client.sync", ("ray", "torch", "ultralytics", "cv2", "av"), id="the client"),
        pytest.param("pipeline.cli", ("ray", "torch", "ultralytics", "cv2", "av"), id="the command line"),
        pytest.param("pipeline.config", ("ray", "torch", "ultralytics", "av"), id="the configuration"),
        pytest.param("pipeline.capacity.plan", ("ray", "torch", "ultralytics", "cv2", "av", "redis"), id="a plan"),
        pytest.param("stages.verdicts", ("numpy", "pydantic"), id="what a part may be called"),
        pytest.param("stages.values", ("ray", "torch", "ultralytics", "cv2", "av"), id="the values"),
    ],
)
def test_a_process_does_not_load_what_it_does_not_need(module: str, without: tuple[str, ...]) -> None:
    """Asked of a fresh interpreter, because it is what others import that costs."""
    script = f"import sys, {module}; print(*sorted({set(without)!r} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.split() == []
