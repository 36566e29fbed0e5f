"""A detector: one model version, from prepared batches to detections in source pixels."""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Iterator, Sequence

import numpy as np

from stages.detect.backend import Backend, load_backend
from stages.detect.decode import decode, is_end2end
from stages.detect.settings import ModelSettings, Runtime
from stages.errors import ModelError, StageError
from stages.values import Detected, Detections, Float32, FrameFailed, ModelInfo, PictureStats, Prepared, Thresholds

__all__ = ["Detector", "ModelSettings", "Runtime"]

logger = logging.getLogger(__name__)


class Detector:
    """Finds the classes the settings ask for.

    Two threads may call at once: one batch's boxes are read while the next is inferred.
    """

    def __init__(self, backend: Backend, settings: ModelSettings, name: str) -> None:
        """Raises ModelError where the settings name a class the model does not know."""
        self._backend = backend
        self._settings = settings
        self._thresholds = settings.thresholds
        self._wanted = _wanted(settings, backend.names)
        self._info = ModelInfo(name, settings.version, backend.sha256, backend.names, runtime=backend.runtime)

    @classmethod
    def load(cls, settings: ModelSettings, name: str) -> Detector:
        """A detector ready to answer at speed: weights checked, exported if that is faster, loaded, and warm.

        Takes seconds; the first time on a machine, an export longer. Raises ModelError.
        """
        started = time.monotonic()
        detector = cls(load_backend(settings), settings, name)
        detector.warm()
        logger.info("model %s ready in %.1f s on %s", name, time.monotonic() - started, detector.info.runtime)
        return detector

    @property
    def info(self) -> ModelInfo:
        """Which model this is; goes with every result."""
        return self._info

    def warm(self) -> None:
        """Run the smallest and the largest batch once (kernels are made at first use), and check what comes out.

        Raises ModelError where the answer does not fit the class names.
        """
        height, width = self._settings.image_size
        for count in sorted({1, self._settings.max_batch}):
            shape = self._backend.infer(np.zeros((count, 3, height, width), np.uint8), self._settings.min_score).shape
            _require_fit(shape, count, len(self._backend.names), self._settings.weights)

    def detect(self, prepared: Prepared) -> Detected:
        """One answer per frame of the batch, in its order; a frame that could not be prepared stays failed.

        Raises StageError if the device gives up: the whole call is lost.
        """
        started = time.perf_counter()
        found, infer_s = self._detections(prepared, [self._kept(prepared)] * len(prepared))
        return self._answer(prepared, found, started, infer_s)

    def detect_many(self, calls: Sequence[Prepared]) -> list[Detected]:
        """Several shards' batches as one; an answer for each call, in order. Raises StageError as `detect` does."""
        if len(calls) == 1:
            return [self.detect(calls[0])]
        started = time.perf_counter()
        kept = [self._kept(call) for call in calls for _ in range(len(call))]  # each shard's own, frame by frame
        all_found, infer_s = self._detections(_merged(calls), kept) if calls else ([], 0.0)
        found = iter(all_found)
        return [self._answer(call, [next(found) for _ in range(len(call))], started, infer_s) for call in calls]

    def _kept(self, prepared: Prepared) -> Thresholds:
        return self._thresholds if prepared.thresholds is None else prepared.thresholds

    def _detections(self, prepared: Prepared, kept: Sequence[Thresholds]) -> tuple[list[Detections], float]:
        """One for each row of the tensor, by that row's thresholds; and the seconds that the runtime took."""
        if prepared.tensor.shape[2:] != self._settings.image_size:
            raise StageError(
                f"model {self._info.name} sees (h, w) {self._settings.image_size}, "
                f"the batch was prepared for {prepared.tensor.shape[2:]}"
            )
        found: list[Detections] = []
        infer_s = 0.0
        for rows in self._chunks(len(prepared)):
            started = time.perf_counter()
            lowest = min(one.min_score for one in kept[rows])
            raw: Float32 = self._backend.infer(prepared.tensor[rows], lowest)
            infer_s += time.perf_counter() - started
            placed = zip(raw, prepared.to_source[rows], prepared.source_wh[rows], kept[rows], strict=True)
            found += [decode(one, self._settings, self._wanted, place, wh, keep) for one, place, wh, keep in placed]
        return found, infer_s

    def _chunks(self, count: int) -> Iterator[slice]:
        for start in range(0, count, self._settings.max_batch):
            yield slice(start, min(start + self._settings.max_batch, count))

    def _answer(self, prepared: Prepared, found: Sequence[Detections], started: float, infer_s: float) -> Detected:
        answers = [_unanswered(stats) for stats in prepared.stats]
        for number, detections in zip(prepared.index, found, strict=True):
            answers[number] = detections
        took_ms = (time.perf_counter() - started) * 1e3
        timings_ms = {"preprocess": prepared.took_ms, "detect": took_ms}
        return Detected(tuple(answers), prepared.stats, self._info, timings_ms, infer_s * 1e3)


def _unanswered(stats: PictureStats | FrameFailed) -> Detections | FrameFailed:
    return stats if isinstance(stats, FrameFailed) else FrameFailed("not in the tensor")


def _merged(calls: Sequence[Prepared]) -> Prepared:
    """Their rows as one batch; to be taken apart again by their lengths."""
    return Prepared(
        tensor=np.concatenate([call.tensor for call in calls]),
        to_source=np.concatenate([call.to_source for call in calls]),
        source_wh=np.concatenate([call.source_wh for call in calls]),
        index=tuple(range(sum(map(len, calls)))),
        stats=(),
    )


def _wanted(settings: ModelSettings, names: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(classes,) which to keep. Raises ModelError for a name the model does not know."""
    asked = names if settings.classes is None else settings.classes
    unknown = [name for name in asked if name not in names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ModelError(
            f"{settings.weights}: the model knows no class {unknown[0]!r}{hint}; it knows {', '.join(names):.300}. "
            "Correct models.<name>.classes, or use other weights"
        )
    return np.array([name in asked for name in names], np.bool_)


def _require_fit(shape: tuple[int, ...], count: int, classes: int, weights: str) -> None:
    fits = len(shape) == 3 and shape[0] == count and (is_end2end(shape) or shape[1] == 4 + classes)
    if not fits:
        raise ModelError(
            f"{weights}: answers {shape} to {count} frames; a detector of {classes} classes answers "
            f"({count}, {4 + classes}, anchors) or ({count}, boxes, 6). Use a detection model with its own class names"
        )
