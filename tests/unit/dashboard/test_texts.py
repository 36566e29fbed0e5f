"""Every text stands in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pipeline.dashboard import alarms, cameras, inspections, line, system
from pipeline.dashboard.texts import TEXTS, add_texts, t

ROOM = Path(line.__file__).parents[1]


def test_what_pages_ask_for_is_there() -> None:
    assert {line, cameras, inspections, system, alarms}  # which bring their own
    asked = {
        call.args[0].value
        for path in ROOM.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("t", "empty", "page_frame")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    assert asked - set(TEXTS) == set()
    assert len(asked) > 20


def test_two_texts_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="logout"):
        add_texts({"logout": "Sign out"})
    assert t("you", name="anna", role="viewer") == "anna (viewer)"
