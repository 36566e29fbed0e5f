"""What the tables of the page of the system hold, and for whom."""

from __future__ import annotations

from pipeline.config import RaylineConfig
from pipeline.control.access.roles import Principal, Role
from pipeline.dashboard.system.reading import Seen
from pipeline.dashboard.system.rows import problems
from pipeline.orchestrate.base_overrides import BaseOverrides
from pipeline.orchestrate.desired import merge

UNREAD = {"line l1": "no recipe", "line l2": "another customer's", "model parts": "no number"}


def test_problems_of_a_line_are_told_to_those_who_may_see_it() -> None:
    seen = Seen(merge(RaylineConfig(), {}, base=BaseOverrides(unread=UNREAD)))
    assert problems(seen, Principal("anna", Role.VIEWER, frozenset({"l1"}))).keys() == {"line l1", "model parts"}
    assert problems(seen, Principal("boss", Role.VIEWER)).keys() == UNREAD.keys()
