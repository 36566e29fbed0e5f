from __future__ import annotations

import json
from zoneinfo import ZoneInfo

from pipeline.dashboard.inspections.details import raw, sections
from pipeline.dashboard.inspections.texts import TEXTS
from tests.unit.dashboard.inspections.parts import message, text

BERLIN = ZoneInfo("Europe/Berlin")


def test_every_word_of_the_message_is_in_the_table() -> None:
    shown = " ".join(fact.value for section in sections(message(), BERLIN) for fact in section.facts)
    for word in ("cam-1/1794999000000/17", "bottling-1", "capper", "reject", "cola-05", "3f9a1c", "rtsp", "openvino"):
        assert word in shown
    for word in ("live|0001794999000000|000000004711", "rayline.inspection/1.2", "2f1d.jpg"):
        assert word in shown
    assert "ab" * 32 in shown
    assert "cd" * 32 in shown
    assert "usable 12, cap 0, label 12" in shown
    assert "missing cap 0.91 (30, 18.5, 90, 60)" in shown
    assert "188 ms" in shown
    assert "125 ms" in shown


def test_times_are_the_plants_and_say_so() -> None:
    times = {fact.key: fact.value for section in sections(message(), BERLIN) for fact in section.facts}
    assert times["captured_at"] == "2026-11-18 12:06:40.125 +0100"


def test_each_fact_and_section_has_its_words() -> None:
    for section in sections(message(), BERLIN):
        assert f"inspections.section.{section.key}" in TEXTS
        assert {f"inspections.fact.{fact.key}" for fact in section.facts} <= set(TEXTS)


def test_what_is_not_known_is_not_left_out() -> None:
    bare = message(external_id=None, recipe=None, snapshot=None, latency_ms=None, reasons=[], defects=[])
    values = {fact.key: fact.value for section in sections(bare, BERLIN) for fact in section.facts}
    unknown = {"external_id", "recipe", "snapshot_uri", "snapshot_sha256", "latency", "reasons", "defects"}
    assert {values[key] for key in unknown} == {"–"}  # noqa: RUF001


def test_a_message_that_is_no_json_is_shown_as_it_is() -> None:
    assert raw("not JSON") == "not JSON"


def test_the_message_itself_keeps_fields_of_later_versions() -> None:
    assert json.loads(raw(text(colour="brown")))["colour"] == "brown"


def test_a_message_without_end_is_cut() -> None:
    assert len(raw(text(reasons=["x" * 200_000]))) < 110_000
