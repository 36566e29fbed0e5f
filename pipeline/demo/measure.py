"""Measures the weights on lines never trained on: boxes on single pictures, and verdicts on parts that pass."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.demo.dataset import HELD_OUT, SEQUENCE, through_codec
from pipeline.demo.line import BottleLine, TruthBox
from pipeline.demo.render import Renderer
from pipeline.demo.score import Score
from pipeline.demo.votes import Gate, VoteCount, Votes
from pipeline.demo.watcher import Seen, Watcher

THRESHOLD = 0.25  # the score from which a box counts, here and in the demo
BIT_RATE = 1_500_000
FPS = 15
PICTURES_PER_LINE = 6
VOTE_FPS = 10
PARTS_PER_LINE = 30
CARD_LINES = HELD_OUT + 10_000  # the lines of the card; those before were looked at while training was decided on
CARD_VOTE_LINES = HELD_OUT + 11_000


def measure(weights: Path, lines: int = 60, vote_lines: int = 12, workers: int = 2) -> dict[str, Any]:
    """The card's figures. Held-out lines only; pictures come through H.264 like a camera's."""
    score, count = Score(), VoteCount()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        verdicts = pool.map(partial(_votes_of, weights), range(CARD_VOTE_LINES, CARD_VOTE_LINES + vote_lines))
        looked = pool.map(partial(_look_at, weights), range(CARD_LINES, CARD_LINES + lines))
        for seen, truth in chain.from_iterable(looked):
            score.add(seen, truth)
        for each in verdicts:
            count.include(each)
    classes = score.figures(THRESHOLD)
    correct = count.parts - count.false_pass - count.false_reject - count.undecided
    return {
        "threshold": THRESHOLD,
        "pictures": score.pictures,
        "lines": lines,
        "map50": round(float(np.mean([each["ap50"] for each in classes.values()])), 4),
        "classes": classes,
        "parts": {**vars(count), "correct_share": round(correct / max(count.parts, 1), 4)},
        "bytes": weights.stat().st_size,
    }


@cache
def _watcher(weights: Path) -> Watcher:
    return Watcher(weights, threads=1)


def _look_at(weights: Path, seed: int) -> list[tuple[Seen, list[TruthBox]]]:
    return [(_watcher(weights).look(picture), truth) for picture, truth in pictures(seed, PICTURES_PER_LINE)]


def _votes_of(weights: Path, seed: int) -> VoteCount:
    count = VoteCount()
    count_votes(_watcher(weights), seed, PARTS_PER_LINE, count)
    return count


def pictures(seed: int, count: int) -> Iterator[tuple[NDArray[np.uint8], list[TruthBox]]]:
    """Single pictures of one line, at unrelated times, with their boxes."""
    line = BottleLine(seed)
    renderer = Renderer(line)
    rng = np.random.default_rng((seed, 5))
    for _ in range(count):
        end = float(rng.uniform(10, 3000))
        times = [end + (number - SEQUENCE + 1) / FPS for number in range(SEQUENCE)]
        yield through_codec([renderer.render(each) for each in times], FPS, BIT_RATE)[-1], line.boxes_at(end)


def count_votes(watcher: Watcher, seed: int, parts: int, count: VoteCount) -> None:
    """Let this many parts of one line pass, judge each at its trigger and count."""
    line = BottleLine(seed)
    renderer = Renderer(line)
    gate = Gate(line)
    expected = line.parts(0, 3 * parts)[:parts]
    times = np.arange(0.5, expected[-1].trigger_at_s, 1 / VOTE_FPS)
    for chunk in np.array_split(times, max(1, len(times) // 50)):
        shown = through_codec([renderer.render(float(t_s)) for t_s in chunk], VOTE_FPS, BIT_RATE)
        for t_s, picture in zip(chunk, shown, strict=True):
            gate.watch(float(t_s), watcher.look(picture).above(THRESHOLD))
    for truth in expected:
        count.add(truth, gate.votes.get(truth.index, Votes()))
