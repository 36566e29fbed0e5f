"""Which model is asked, and which of its answers are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.control.detect.request import Wishes
from pipeline.control.problems import ApiError
from pipeline.names import choices, did_you_mean
from stages.detect.settings import ModelSettings
from stages.values import Detections


@dataclass(frozen=True, slots=True)
class Choice:
    """One model, the lowest score and the classes of a request."""

    model: str
    settings: ModelSettings
    threshold: float | None
    classes: tuple[str, ...] | None

    def require_known(self, names: Sequence[str]) -> None:
        """`names`: all the model knows. Raises ApiError 422 for a class it does not, or is set to drop."""
        kept = self.settings.classes or tuple(names)
        for name in self.classes or ():
            if name not in kept:
                raise ApiError(422, self._unknown(name, kept))

    def of(self, found: Detections, names: Sequence[str]) -> Detections:
        """Those that were asked for."""
        kept = np.ones(len(found), bool)
        if self.threshold is not None:
            kept &= found.score >= np.float32(self.threshold)  # as coarse as the scores: 0.9 is not below 0.9
        if self.classes is not None:
            kept &= np.isin(found.class_id, [number for number, name in enumerate(names) if name in self.classes])
        return found.keep(kept)

    def _unknown(self, name: str, kept: Sequence[str]) -> str:
        near = did_you_mean(name, kept)
        hint = f"did you mean {near!r}?" if near else f"it tells {choices(kept)}"
        return f"model {self.model!r} tells no class {name[:63]!r}; {hint}"


def chosen(wishes: Wishes, models: Mapping[str, ModelSettings]) -> Choice:
    """The choice these wishes make. Raises ApiError: 404 for a model that does not run, 422 for what cannot be."""
    name = wishes.model if wishes.model is not None else _only(models)
    settings = models.get(name)
    if settings is None:
        raise ApiError(404, f"no model {name!r} runs; those that do: {choices(models)}")
    if wishes.threshold is not None and np.float32(wishes.threshold) < np.float32(settings.min_score):
        raise ApiError(
            422,
            f"threshold {wishes.threshold:g} is below {settings.min_score:g}, the min_score of model {name!r}, which "
            "drops what is fainter: ask for as much, or lower models.<name>.min_score",
        )
    return Choice(name, settings, wishes.threshold, tuple(wishes.classes) if wishes.classes is not None else None)


def _only(models: Mapping[str, ModelSettings]) -> str:
    if not models:
        raise ApiError(404, "no model runs")
    if len(models) > 1:
        raise ApiError(422, f"`model` must name one of those that run: {choices(models)}")
    return next(iter(models))
