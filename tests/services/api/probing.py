"""Requests made up from what the API says of itself, and what its answers break of that."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.hooks import HookContext

# Reasons for a 503 that docs/api.md tells of, and that this test's line gives.
NOT_NOW = re.compile(r"camera '.*' shows no picture|nothing reports: is `rayline up` running\?")
WHOLE = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Found:
    """What came of it."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)  # by call and status
    broken: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return self.answers.total()

    def succeeded(self) -> set[str]:
        """Calls that were answered as the caller wished, at least once."""
        return {call for (call, status) in self.answers if status < 300}


def probe(url: str, key: str, *, phases: Sequence[str], examples: int, excluded: str = "", seed: int = 1) -> Found:
    """Probe every call. What it asks depends on the seed and on what it is answered."""
    headers = {"X-API-Key": key}
    document = httpx.get(f"{url}/openapi.json", headers=headers).raise_for_status().json()
    schema = schemathesis.openapi.from_dict(_plain_tuples(document), config=SchemathesisConfig(seed=seed))
    if excluded:
        schema = schema.exclude(path_regex=excluded)
    config = schema.config
    config.update(base_url=url, headers=headers)
    config.phases.update(phases=list(phases))
    config.generation.update(max_examples=examples, deterministic=True, with_security_parameters=False)
    config.checks.not_a_server_error.expected_statuses = ["2xx", "3xx", "4xx", "503"]  # which reasons: see `_look_at`
    # That a recipe is not there, a setting needs another, an image is none: no schema tells, and the answer is 422.
    config.checks.positive_data_acceptance.enabled = False

    @schema.hook("after_call")
    def bring_back(context: HookContext, case: Case, response: schemathesis.Response) -> None:
        """Cameras that were taken away, for the calls to come; a stateful run looks whether they are gone."""
        is_stateful = case.meta is not None and case.meta.phase.name.value == "stateful"
        if case.method == "DELETE" and response.status_code == 204 and not is_stateful:
            httpx.post(f"{url}{case.formatted_path}/reset", headers=headers)

    found = Found()
    for event in from_schema(schema).execute():
        _look_at(event, found)
    return found


def _look_at(event: Any, found: Found) -> None:
    if isinstance(event, events.NonFatalError):
        found.broken.append(f"the probing itself, {event.label}: {event.value}")
    if isinstance(event, events.FatalError):
        raise event.exception
    if not isinstance(event, events.ScenarioFinished):
        return
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        response = interaction.response
        if response is None:
            found.broken.append(f"{interaction.request.method} {interaction.request.uri}: no answer")
            continue
        call = recorder.cases[case_id].value.operation.label
        found.answers[call, response.status_code] += 1
        if response.status_code == 503 and not _is_foreseen(response):
            found.broken.append(f"{call}: {response.content!r} with {sorted(response.headers)}")
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                answer = recorder.interactions[case_id].response
                told = "" if answer is None else f"{answer.content[:500]!r}"
                failure = check.failure_info
                found.broken.append(f"{check.name}: {failure.failure.message}\n{failure.code_sample[:2000]}\n{told}")


def _is_foreseen(response: Any) -> bool:
    told = response.json()
    return "retry-after" in response.headers and NOT_NOW.search(told["detail"]) is not None


def _plain_tuples(document: dict[str, Any]) -> dict[str, Any]:
    """Schemathesis 4.32 mistakes `prefixItems` of an answer that two calls give; ours are all of one kind."""

    def rewrite(node: Any) -> Any:
        if isinstance(node, dict):
            told = {key: rewrite(value) for key, value in node.items()}
            if "prefixItems" in told:
                [told["items"]] = {repr(one): one for one in told.pop("prefixItems")}.values()
            return told
        return [rewrite(one) for one in node] if isinstance(node, list) else node

    rewritten: dict[str, Any] = rewrite(copy.deepcopy(document))
    return rewritten
