"""What is left on the device must be what decoding would have thrown away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.detect.decode import decode, is_end2end
from stages.detect.torch_reduce import STEP, reached_only
from stages.values import Float32
from tests.unit.stages.detect.scripted import settings


def raw(frames: int, anchors: int, seed: int = 0) -> torch.Tensor:
    """(frames, 7, anchors): boxes all over, scores mostly low."""
    rng = np.random.default_rng(seed)
    answers = rng.uniform(10, 300, (frames, 7, anchors)).astype(np.float32)
    answers[:, 4:] = rng.uniform(0, 1, (frames, 3, anchors)) ** 8
    return torch.from_numpy(answers)


def decoded(answers: torch.Tensor, frame: int, min_score: float) -> tuple[list[object], ...]:
    found = decode(
        np.ascontiguousarray(answers[frame].float().numpy()),
        settings(min_score=min_score),
        np.array([True, False, True]),
        np.array([1, 1, 0, 0], np.float32),
        np.array([640, 384], np.int32),
    )
    return found.xyxy.tolist(), found.score.tolist(), found.class_id.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("min_score", [0.001, 0.25, 0.7, 0.999])
def test_decoding_finds_exactly_the_same(dtype: torch.dtype, min_score: float) -> None:
    answers = raw(3, 1000).to(dtype)
    reduced = reached_only(answers, min_score)
    assert reduced.dtype is torch.float32
    for frame in range(3):
        assert decoded(reduced, frame, min_score) == decoded(answers, frame, min_score)


def test_equal_scores_keep_their_order() -> None:
    answers = raw(1, 1000)
    answers[:, 4] = torch.where(answers[:, 4] > 0.5, 0.75, 0.0)
    answers[:, 5:] = 0
    assert decoded(reached_only(answers, 0.5), 0, 0.5) == decoded(answers, 0, 0.5)


def test_the_busiest_frame_tells_how_many_are_kept() -> None:
    answers = raw(2, 1000)
    answers[:, 4:] = 0
    answers[0, 4, 100:105] = 0.9
    assert reached_only(answers, 0.5).shape == (2, 7, STEP)
    answers[1, 5, 300 : 300 + STEP + 1] = 0.9
    assert reached_only(answers, 0.5).shape == (2, 7, 2 * STEP)


@pytest.mark.parametrize("reaching", [0, 1, 5, 6, 7])
def test_the_answer_never_looks_like_an_end_to_end_one(reaching: int) -> None:
    answers = raw(1, 1000)
    answers[:, 4:] = 0
    answers[0, 4, :reaching] = 0.9
    assert not is_end2end(tuple(reached_only(answers, 0.5).shape))


def test_what_is_not_a_number_reaches_nothing() -> None:
    answers = raw(1, 1000)
    answers[:, 4:] = 0
    answers[0, 4, 7] = float("nan")
    answers[0, 4, 9] = 0.9
    assert decoded(reached_only(answers, 0.5), 0, 0.5) == decoded(answers, 0, 0.5)


def test_a_scene_that_answers_everywhere_comes_whole() -> None:
    answers = raw(1, 1000)
    answers[:, 4] = 0.9
    assert reached_only(answers, 0.5).shape == (1, 7, 1000)


def test_end_to_end_answers_come_whole() -> None:
    answers = torch.zeros((2, 300, 6), dtype=torch.float16)
    assert reached_only(answers, 0.5).shape == (2, 300, 6)


def test_one_frame_or_none() -> None:
    answers: Float32 = reached_only(raw(0, 1000), 0.5).numpy()
    assert answers.shape == (0, 7, STEP)
