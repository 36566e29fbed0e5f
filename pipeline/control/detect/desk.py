"""Where requests for detection are worked on: admitted, fetched, decoded when their turn is near, and answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.control.detect.answers import Answered, untracked
from pipeline.control.detect.choice import Choice, chosen
from pipeline.control.detect.darkroom import Darkroom
from pipeline.control.detect.fetch import ImageFetcher
from pipeline.control.detect.gatherer import Gatherer
from pipeline.control.detect.refusals import ImageFailed
from pipeline.control.detect.request import Asked, AtUrl, InBase64, Source
from pipeline.control.detect.room import Room, Stay
from pipeline.control.detect.settings import DetectLimits
from pipeline.control.detector import DetectorBusy, DetectorUnavailable, ImageDetector
from pipeline.control.problems import busy
from stages.detect.settings import ModelSettings
from stages.values import Detections, FrameFailed, ModelInfo, Picture

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture's part of a call's answer."""

    found: Detections | FrameFailed
    model: ModelInfo
    timings_ms: Mapping[str, float]


class Lane:
    """The way to one model: pictures for the call under way and for the next, and no more, are held decoded."""

    def __init__(self, choice: Choice, detector: ImageDetector, limits: DetectLimits) -> None:
        self._model, self._detector = choice.model, detector
        together = min(limits.max_batch, choice.settings.max_batch)  # the model's replicas refuse longer calls
        self.decoded = asyncio.Semaphore(together * (limits.max_in_flight + 1))
        self.calls = Gatherer[Picture, Seen](self._call, together, limits.max_in_flight, limits.rest)
        self.names: tuple[str, ...] | None = None  # the model's classes, once it has answered

    async def _call(self, pictures: Sequence[Picture]) -> list[Seen]:
        detected = await self._detector.detect(self._model, pictures)
        self.names = detected.model.class_names
        return [Seen(found, detected.model, detected.timings_ms) for found in detected.detections]


class DetectDesk:
    """One for each process; belongs to the event loop that first uses it."""

    def __init__(
        self,
        limits: DetectLimits,
        detector: ImageDetector,
        models: Mapping[str, ModelSettings],
        fetcher: ImageFetcher | None = None,
    ) -> None:
        self.limits = limits
        self._detector, self._models = detector, models
        self._fetcher = fetcher or ImageFetcher(limits)
        self._darkroom = Darkroom(limits)
        self._room = Room(limits.max_waiting)
        self._lanes: dict[str, Lane] = {}

    def admitted(self) -> AbstractContextManager[Stay]:
        """A place for one request, to be had before its body is read. Raises ApiError 503."""
        return self._room.entered()

    async def answer(self, asked: Asked, *, annotate: bool = False) -> list[Answered | ImageFailed]:
        """One outcome for each image, in their order. Raises ApiError where none can be answered.

        Cancelling it lets go of every image that has not begun.
        """
        choice = chosen(asked.wishes, self._models)
        lane = self._lane(choice)
        if lane.names is not None:
            choice.require_known(lane.names)
        wanted = annotate or asked.wishes.annotate
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                return await _all([self._outcome(source, choice, lane, wanted) for source in asked.sources])
        except TimeoutError:
            raise busy(f"no answer within {self.limits.timeout_s:g} s", self._room.retry_after_s()) from None
        except (DetectorBusy, DetectorUnavailable) as exc:
            raise busy(str(exc), self._room.retry_after_s()) from exc

    def close(self) -> None:
        """Lets go of all that waits."""
        for lane in self._lanes.values():
            lane.calls.close()
        self._darkroom.close()
        self._fetcher.close()

    def _lane(self, choice: Choice) -> Lane:
        if choice.model not in self._lanes:
            self._lanes[choice.model] = Lane(choice, self._detector, self.limits)
        return self._lanes[choice.model]

    async def _outcome(self, source: Source, choice: Choice, lane: Lane, annotate: bool) -> Answered | ImageFailed:
        try:
            return await self._answered(source, choice, lane, annotate)
        except ImageFailed as exc:
            return exc

    async def _answered(self, source: Source, choice: Choice, lane: Lane, annotate: bool) -> Answered:
        watch = _Stopwatch()
        fetched = await self._fetcher.fetch(source.url) if isinstance(source, AtUrl) else None
        if fetched is not None:
            watch.lap("fetch")
        async with lane.decoded:
            watch.lap("wait")
            picture = await self._picture(source, fetched)
            del fetched
            watch.lap("decode")
            seen = await lane.calls.ask(picture)
            watch.lap("wait", without=seen.timings_ms)
            self._room.s_per_image = lane.calls.s_per_item
            choice.require_known(seen.model.class_names)
            if isinstance(seen.found, FrameFailed):
                raise ImageFailed(seen.found.reason)
            tracks = untracked(choice.of(seen.found, seen.model.class_names))
            jpeg = None
            if annotate:
                jpeg = await self._darkroom.annotated(picture, tracks, seen.model.class_names)
                watch.lap("annotate")
        return Answered((picture.width, picture.height), seen.model, tracks, watch.told(), jpeg)

    async def _picture(self, source: Source, fetched: bytes | None) -> Picture:
        if isinstance(source, AtUrl):
            return await self._darkroom.decoded(fetched or b"")
        if isinstance(source, InBase64):
            return await self._darkroom.decoded(source.text)
        if (source.file.size or 0) > self.limits.max_image_bytes:
            raise ImageFailed(f"{source.file.size} bytes; at most {self.limits.max_image_bytes} are read", 413)
        return await self._darkroom.decoded(await source.file.read())


class _Stopwatch:
    """Milliseconds by stage, and in all."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._ms: dict[str, float] = {}

    def lap(self, stage: str, without: Mapping[str, float] | None = None) -> None:
        """What passed since the lap before is this stage's, but for the parts that are known apart."""
        now = time.perf_counter()
        parts = without or {}
        self._ms |= parts
        self._ms[stage] = self._ms.get(stage, 0.0) + max(0.0, (now - self._last) * 1e3 - sum(parts.values()))
        self._last = now

    def told(self) -> dict[str, float]:
        """By stage, `total` last."""
        return {**self._ms, "total": (time.perf_counter() - self._started) * 1e3}


async def _all(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives; the first that raises ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
