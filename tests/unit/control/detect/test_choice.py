"""Which model is asked, and which of its answers are told."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.control.detect.choice import chosen
from pipeline.control.detect.request import Wishes
from pipeline.control.problems import ApiError
from stages.detect.settings import ModelSettings
from stages.values import Detections

BOTTLES = ModelSettings(weights="a.pt", min_score=0.25)
FOUND = Detections(np.zeros((3, 4), np.float32), np.array([0.9, 0.5, 0.3], np.float32), np.array([0, 1, 0], np.int32))


def refused(wishes: Wishes, models: dict[str, ModelSettings]) -> ApiError:
    with pytest.raises(ApiError) as found:
        chosen(wishes, models)
    return found.value


def test_the_only_model_needs_no_name() -> None:
    assert chosen(Wishes(), {"bottles": BOTTLES}).model == "bottles"


@pytest.mark.parametrize(
    ("model", "models", "status"),
    [
        pytest.param(None, {"caps": BOTTLES, "bottles": BOTTLES}, 422, id="two run and none is named"),
        pytest.param("nope", {"caps": BOTTLES, "bottles": BOTTLES}, 404, id="none of that name"),
        pytest.param(None, {}, 404, id="none runs"),
    ],
)
def test_a_model_that_cannot_be_chosen_is_told_with_those_that_run(
    model: str | None, models: dict[str, ModelSettings], status: int
) -> None:
    error = refused(Wishes() if model is None else Wishes(model=model), models)
    assert error.status == status
    assert all(name in str(error) for name in models)


def test_a_threshold_below_the_models_own_is_refused_and_at_it_is_not() -> None:
    assert refused(Wishes(threshold=0.2), {"bottles": BOTTLES}).status == 422
    chosen(Wishes(threshold=0.25), {"bottles": BOTTLES})


@pytest.mark.parametrize(
    ("wishes", "kept"),
    [
        pytest.param(Wishes(), [0, 1, 2], id="all"),
        pytest.param(Wishes(threshold=0.9), [0], id="exactly at the threshold is kept"),
        pytest.param(Wishes(classes=["cap"]), [1], id="one class"),
        pytest.param(Wishes(classes=["bottle", "cap"], threshold=0.4), [0, 1], id="both"),
    ],
)
def test_only_what_was_asked_for_is_told(wishes: Wishes, kept: list[int]) -> None:
    found = chosen(wishes, {"bottles": BOTTLES}).of(FOUND, ("bottle", "cap"))
    assert found.score.tolist() == FOUND.score[kept].tolist()


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        pytest.param(None, "did you mean 'bottle'", id="the model's own"),
        pytest.param(("cap",), "it tells cap", id="those it is set to keep"),
    ],
)
def test_an_unknown_class_is_told_with_what_there_is(classes: tuple[str, ...] | None, told: str) -> None:
    settings = BOTTLES.model_copy(update={"classes": classes})
    choice = chosen(Wishes(classes=["botle"]), {"bottles": settings})
    with pytest.raises(ApiError, match=told):
        choice.require_known(("bottle", "cap"))
