"""The demo's committed weights: what their card says, and a held-out sample measured again."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from pipeline.demo.dataset import HELD_OUT
from pipeline.demo.measure import THRESHOLD, count_votes, pictures
from pipeline.demo.render import CLASS_NAMES
from pipeline.demo.score import Score
from pipeline.demo.train import WEIGHTS
from pipeline.demo.votes import VoteCount
from pipeline.demo.watcher import Watcher

SAMPLE_LINES = range(HELD_OUT + 500, HELD_OUT + 514)  # lines the card was not measured on
SAMPLE_PICTURES = 4  # of each line
SAMPLE_PARTS = 20
VOTE_LINE = HELD_OUT + 1500


@pytest.fixture(scope="module")
def watcher() -> Watcher:
    return Watcher(WEIGHTS, threads=1)


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(WEIGHTS.with_suffix(".json").read_text())
    return figures


def test_the_card_speaks_of_these_weights(card: dict[str, Any]) -> None:
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert card["sha256"] == digest
    text = WEIGHTS.with_suffix(".md").read_text()
    assert digest in text
    assert f"{card['map50']:.4f}" in text
    assert "AGPL-3.0-or-later" in text


def test_the_card_meets_what_the_demo_needs(card: dict[str, Any]) -> None:
    assert WEIGHTS.stat().st_size <= 6_000_000
    assert card["map50"] >= 0.95
    assert {name: each["recall"] for name, each in card["classes"].items() if each["recall"] < 0.97} == {}
    assert card["parts"]["parts"] >= 300
    assert card["parts"]["false_pass"] == 0
    assert card["parts"]["correct_share"] >= 0.995


def test_the_weights_name_the_lines_classes(watcher: Watcher) -> None:
    assert watcher.names == dict(enumerate(CLASS_NAMES))


def test_a_held_out_sample_measures_like_the_card(watcher: Watcher) -> None:
    score = Score()
    for seed in SAMPLE_LINES:
        for picture, truth in pictures(seed, SAMPLE_PICTURES):
            score.add(watcher.look(picture), truth)
    figures = score.figures(THRESHOLD)
    assert np.mean([each["ap50"] for each in figures.values()]) >= 0.95
    for name, each in figures.items():
        missed = round((1 - each["recall"]) * each["truths"])
        assert missed <= max(1, 0.03 * each["truths"]), f"{name}: {missed} of {each['truths']} missed"


def test_no_bad_part_of_a_held_out_line_passes(watcher: Watcher) -> None:
    count = VoteCount()
    count_votes(watcher, VOTE_LINE, SAMPLE_PARTS, count)
    assert count.parts == SAMPLE_PARTS
    assert (count.false_pass, count.undecided) == (0, 0)
    assert count.false_reject <= 1


def test_a_picture_without_bottles_shows_none(watcher: Watcher) -> None:
    assert len(watcher.look(np.full((360, 640, 3), 90, np.uint8)).above(THRESHOLD).score) == 0
