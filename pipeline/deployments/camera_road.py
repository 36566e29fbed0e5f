"""The road of one camera's frames: a chain works on them in order, from where the store has them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.answers import InForce
from pipeline.deployments.chain import CameraChain, class_names_of, failed_result
from pipeline.deployments.job import CameraJob
from pipeline.deployments.part_pictures import PartPictures
from pipeline.deployments.recipe_in_force import RecipeInForce
from pipeline.sinks.annotated_video import AnnotatedVideo
from pipeline.sinks.redis_streams import Stored
from stages.geometry import Roi
from stages.inspection.inspector import Judged
from stages.values import (
    CameraNotice,
    Clock,
    Detections,
    EndOfStream,
    Frame,
    FrameFailed,
    FrameResult,
    HealthState,
    ModelInfo,
    PictureStats,
    Position,
    Tracks,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame with what preprocess and detect made of it."""

    frame: Frame
    found: Detections | FrameFailed
    stats: PictureStats | FrameFailed
    timings_ms: dict[str, float]
    roi: Roi | None = None  # what was cut out for the model


class CameraRoad:
    """Gives each new frame its result. A chain is begun with the first frame of a source, by the `recipe` in force.

    `stored` is what the store held when the camera was taken over; `cursor` is moved on by whoever stores the results.
    """

    def __init__(self, recipe: RecipeInForce, stored: Stored, pictures: PartPictures) -> None:
        self.cursor = stored.cursor
        self.last: FrameResult | None = None  # of the last frame that came
        self._recipe = recipe
        self._pictures = pictures
        self._stored_checkpoint = stored.checkpoint
        self._stored_at = stored.captured_at
        self._chain: CameraChain | None = None
        self._source: str | None = None  # whose frames the chain works on
        self._early: CameraNotice | None = None  # the first that said the camera is blind, before any frame
        self._video: AnnotatedVideo | None = None

    def is_done(self, position: Position) -> bool:
        """True for a frame that was worked on, or is stored."""
        if self.last is not None and position.source == self.last.position.source:
            return position <= self.last.position
        return self.is_stored(position)

    def is_stored(self, position: Position) -> bool:
        """True where the cursor stands at the position or behind it, on the same source."""
        return self._on_stored_road(position) and position.encode() <= (self.cursor or "")

    @property
    def is_all_stored(self) -> bool:
        """False where the chain has seen what is not stored."""
        return self.last is not None and self.cursor == self.last.position.encode()

    def work_on(self, seen: Seen, model: ModelInfo, now: float) -> FrameResult:
        """All that comes of the next frame, with what was not told before it."""
        frame = seen.frame
        chain = self._chain
        if chain is None or frame.position.source != self._source:
            if isinstance(seen.found, FrameFailed):  # such an answer may not know the model's classes
                self.last = failed_result(frame, seen.found.reason, model, seen.timings_ms)
                return self.last
            chain = self._chain = self._begin(frame.position, model)
            self._source = frame.position.source
        changed, cut_short = self._recipe.change_over(chain, frame, now)
        # Blind until now: the interval opens with the notice, and this frame closes it.
        blind = () if self._early is None else chain.notice(self._early).uninspected
        self._early = None
        is_evidence = seen.roi == self._recipe.job.roi
        had_older = chain.has_older
        result = chain.update(frame, seen.found, seen.stats, model, seen.timings_ms, is_evidence=is_evidence)
        if had_older and not chain.has_older:  # jobs bring the recipe before no longer
            self._recipe.changed = True
        result = replace(
            result,
            events=changed + result.events,
            inspections=cut_short.inspections + result.inspections,
            uninspected=cut_short.uninspected + blind + result.uninspected,
        )
        if result.inspections:
            result = replace(result, inspections=tuple(self._pictures.with_frame(i, frame) for i in result.inspections))
        self.last = result
        if self._recipe.job.annotated_to is not None:
            self._annotate(frame, result)
        return result

    def notice(self, notice: CameraNotice) -> Judged:
        """What the camera's new state means for the parts under way."""
        if self._chain is None or self.last is None:
            if not notice.seeing:  # the model's classes are not known yet: told to the chain when it begins
                self._early = self._early or notice
            return Judged()
        return self._chain.notice(notice)

    def end(self, end: EndOfStream, now: float, *, failed: bool) -> Judged:
        """What becomes of the parts that were on their way; `failed`: it broke off for good."""
        if self._chain is None:
            self._take_up(end)
        if self._chain is None or self.last is None:
            return Judged()
        # What a live camera lost before it ended was unseen until now.
        ended_at = now if self.last.position.is_live else self.last.captured_at
        return self._chain.end(ended_at, now, failed=failed)

    def takes(self, job: CameraJob) -> bool:
        """True where it goes on by this job as it stands: see `RecipeInForce.takes`."""
        is_taken = self._recipe.takes(job)
        if self._chain is not None:
            self._chain.job = self._recipe.job
        return is_taken

    def in_force(self) -> InForce:
        """Parts may go by the recipe before it here, or with whoever goes on from what is stored."""
        if self._chain is None:
            return self._recipe.told(older_parts=self._stored_checkpoint is not None)
        return self._recipe.told(older_parts=self._recipe.changed or self._chain.has_older)

    def checkpoint(self) -> bytes | None:
        """All the chain knows by now; None before it knows anything."""
        return None if self._chain is None or self.last is None else self._chain.checkpoint()

    def begin_from(self, checkpoint: bytes) -> None:
        """What the store will hold at the cursor, for the chain that is to be begun."""
        self._stored_checkpoint = checkpoint

    def close(self) -> None:
        """Let go of what is open; the camera has ended or moved."""
        if self._video is not None:
            self._video.close()
            self._video = None

    def _on_stored_road(self, position: Position) -> bool:
        return self.cursor is not None and self.cursor.startswith(position.source + "|")

    def _begin(self, position: Position, model: ModelInfo) -> CameraChain:
        """A new chain; where the store holds this road's checkpoint, it goes on from there."""
        job = self._recipe.job
        run = str(position.major) if position.is_live else position.source.partition(":")[2]
        chain = CameraChain(job, model.class_names, run)
        checkpoint, self._stored_checkpoint = self._stored_checkpoint, None
        if checkpoint is None or not self._on_stored_road(position):
            return chain
        try:
            chain.restore(checkpoint)
        except (ValueError, KeyError, TypeError) as exc:
            logger.warning("camera %s: checkpoint not usable, tracking starts anew: %s", job.camera_id, exc)
            return CameraChain(job, model.class_names, run)
        return chain

    def _take_up(self, end: EndOfStream) -> None:
        """Of a camera that comes here with nothing but its end: the parts that were on their way, to be judged by it.

        No picture comes any more, so what the model calls its classes does not matter, but that it knows them.
        """
        at, last, job = self._stored_at, end.follows, self._recipe.job
        if self._stored_checkpoint is None or at is None or last is None or self.cursor != last.encode():
            return
        chain = self._begin(last, ModelInfo(job.model, "", "", class_names_of(job)))
        model = ModelInfo(job.model, "", "", ())
        self._chain, self._source = chain, last.source
        self.last = FrameResult(
            camera_id=job.camera_id,
            seq=end.last_seq,
            captured_at=at,
            clock=Clock.MEDIA,
            position=last,
            size_wh=chain.size_wh,
            tracks=Tracks.empty(),
            health=HealthState.OK,
            model=model,
            dropped={},
            timings_ms={},
        )

    def _annotate(self, frame: Frame, result: FrameResult) -> None:
        if self._video is None:
            self._video = AnnotatedVideo(Path(self._recipe.job.annotated_to or ""))
        self._video.add(frame, result)
