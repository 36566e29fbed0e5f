"""Rules and routes go together: none without the other, and the documents name them all."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from pipeline.control import api
from pipeline.control.access.gate import routes_of, unruled
from pipeline.control.access.roles import Role
from pipeline.control.access.rules import RULES, WEBSOCKET, Rule, Scope

ROOT = Path(__file__).parents[3]
BUILT_IN = {("GET", "/openapi.json")}  # FastAPI's own


def served() -> set[tuple[str, str]]:
    routes: list[BaseRoute] = [route for router in api.ROUTERS for route in router.routes]
    return {*routes_of(routes), *BUILT_IN}


def test_every_route_has_its_rule() -> None:
    assert sorted(served() - set(RULES)) == []


def test_every_rule_has_its_route() -> None:
    assert sorted(set(RULES) - served()) == []


async def _answer(_: Request) -> Response:
    return Response()


def test_a_route_without_a_rule_is_noticed() -> None:
    routes = [
        Route("/v1/open", _answer),
        Route("/healthz", _answer, methods=["GET", "POST"]),
        Mount("/static", routes=[]),
    ]
    assert unruled(routes) == ["GET /v1/open", "POST /healthz", "Mount /static"]


def test_public_is_only_what_probes_need() -> None:
    assert {path for (_, path), rule in RULES.items() if rule.is_public} == {"/healthz", "/readyz"}


def test_who_changes_something_is_more_than_a_viewer() -> None:
    changing = {key: rule for key, rule in RULES.items() if key[0] not in ("GET", WEBSOCKET)}
    assert len(changing) >= 8
    assert all(rule.needed.covers(Role.OPERATOR) for rule in changing.values())


def test_a_path_that_names_a_line_or_a_camera_is_looked_at() -> None:
    for (method, path), rule in RULES.items():
        assert ("{line}" in path) == (rule.scope is Scope.LINE), (method, path)
        assert ("{camera}" in path) == (rule.scope is Scope.CAMERA), (method, path)


def _told(rule: Rule) -> str:
    return "everybody" if rule.role is None else rule.role.value


def test_the_documents_table_names_every_rule() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    table = text.split("| request |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    told = {row[0].strip("`"): row[1] for row in rows}
    assert told == {f"{method} {path}": _told(rule) for (method, path), rule in RULES.items()}
