"""One camera in a track replica: its chain, the cursor it trusts, and what is still to be written."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.answers import CameraAnswer, Gap, InForce, Outcome
from pipeline.deployments.chain import CameraChain, class_names_of, failed_result, state_event
from pipeline.deployments.job import CameraJob
from pipeline.deployments.part_pictures import PartPictures
from pipeline.deployments.reader_cuts import ReaderCuts
from pipeline.deployments.recipe_in_force import RecipeInForce
from pipeline.deployments.untold import MOST_CARRIED, Untold, tell_dropped
from pipeline.sinks.annotated_video import AnnotatedVideo
from pipeline.sinks.late_writes import LOST_BY_REDIS
from pipeline.sinks.previews import Previews
from pipeline.sinks.redis_streams import CameraWrite, Stored, WriteOutcome, WriteStatus
from pipeline.sinks.snapshots import Snapshots
from stages.errors import StageError
from stages.geometry import Roi
from stages.inspection.inspector import Judged
from stages.results.messages import (
    ResultContext,
    camera_event_message,
    detection_message,
    event_message,
    inspection_message,
    rfc3339,
    uninspected_message,
)
from stages.values import (
    CameraNotice,
    Clock,
    Detections,
    EndOfStream,
    Event,
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

LIVE_CHECKPOINT_EVERY_S = 1.0
FAILED = "failed"  # the state, as a notice tells it, of a camera that a person must see to


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame with what preprocess and detect made of it."""

    frame: Frame
    found: Detections | FrameFailed
    stats: PictureStats | FrameFailed
    timings_ms: dict[str, float]
    roi: Roi | None = None  # what was cut out for the model


class TrackedCamera:
    """Owns everything that is known of one camera. `stored` is what the store held when it was taken over."""

    def __init__(
        self, job: CameraJob, stored: Stored, snapshots: Snapshots | None, previews: Previews | None = None
    ) -> None:
        self.trusted = True
        self._recipe = RecipeInForce(job, stored.checkpoint)
        self.pictures = PartPictures(snapshots)
        self._previews = previews
        self._cursor = stored.cursor
        self._stored_checkpoint = stored.checkpoint
        self._stored_at = stored.captured_at
        self._chain: CameraChain | None = None
        self._road: str | None = None  # the source whose frames the chain works on
        self._last: FrameResult | None = None  # of the last frame that came
        self._write: CameraWrite | None = None  # under way, or waiting for the same frames to come again
        self._captured: tuple[float, ...] = ()  # of the frames in that write
        self._failed = 0  # of the frames in that write
        self._drops: Counter[str] = Counter()  # what the frames in that write had to tell of frames before them
        self._verdicts_made: Counter[str] = Counter()  # since the last answer that told them
        self._told: deque[str] = deque(maxlen=64)  # the last notices: a resent one is not told twice
        self._early: CameraNotice | None = None  # the first that said the camera is blind, before any frame
        self._loose_events: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._loose_verdicts: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._carried_events: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._carried_verdicts: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._to_carry: list[bytes] = []  # events of the write under way, to be carried where it does not land
        self._state = ""  # that the camera's last notice told
        self._lost_frames = 0  # live frames that could not be written since `_lost_since`
        self._lost_since: float | None = None
        self._lost: Counter[str] = Counter()  # frames to be told as dropped, by reason, in the first message that lands
        self._ended: tuple[str, bytes] | None = None  # (cursor, checkpoint) after an end that judged parts
        self._checkpoint_at = 0.0
        self._video: AnnotatedVideo | None = None
        self._cuts = ReaderCuts(job.camera_id)
        self._was_stored = True  # the cursor: Redis had it, not only the disk

    def work(
        self,
        seen: Sequence[Seen],
        notices: Sequence[CameraNotice],
        end: EndOfStream | None,
        model: ModelInfo,
        now: float,
    ) -> CameraWrite | None:
        """What is to be written for this camera's part of a batch; None if all of it is there already.

        Frames at or before the cursor, or that the chain has worked on, are dropped before the tracker sees them.
        A write that did not land the last time is given again where the same frames are sent again. Raises StageError
        for other frames: what was pending is lost to this tracker, and the camera must be loaded anew.
        """
        if self._write is not None:
            if seen and seen[-1].frame.position.encode() == self._write.new:
                return self._write
            raise StageError(f"camera {self.job.camera_id}: a write is pending that nobody sends again")
        loose_before = len(self._loose_verdicts)
        worked = self._results(seen, notices, model, now)
        results = [result for result, _ in worked]
        drops = sum((Counter(r.dropped) for r in results), Counter[str]())
        if results and self._lost:  # told once, in the first message behind the loss
            results[0] = replace(results[0], dropped=self._lost + Counter(results[0].dropped))
        contexts = [context for _, context in worked]
        draft = _Draft([detection_message(*one) for one in zip(results, contexts, strict=True)])
        for result, context in zip(results, contexts, strict=True):
            draft.events += [event_message(e, result, context) for e in result.events]
            draft.verdicts += self._verdicts(Judged(result.inspections, result.uninspected), result, context)
        judged_at_end: list[bytes] = []
        if end is not None and self._chain is None:
            self._take_up(end)
        if end is not None and self._chain is not None and self._last is not None:
            # What a live camera lost before it ended was unseen until now.
            ended_at = now if self._last.position.is_live else self._last.captured_at
            failed = self._state == FAILED
            judged_at_end = self._verdicts(self._chain.end(ended_at, now, failed=failed), self._last, self.context)
        # With frames that can be read again they are written at once: their checkpoint takes the parts for judged.
        in_write = bool(results) and self.live is False
        (draft.verdicts if in_write else self._loose_verdicts).extend(judged_at_end)
        # What is stored from before knows these parts as still under way, and of no interval that was opened: whoever
        # goes on from there would judge them again, and never close it.
        told = (judged_at_end and not in_write) or len(self._loose_verdicts) > loose_before
        if told and self._chain is not None and self._cursor is not None:
            self._ended = (self._cursor, self._chain.checkpoint())
        if not results:
            return None
        self._drops = drops
        self._captured = tuple(r.captured_at for r in results)
        self._failed = sum(r.error is not None for r in results)
        self._write = self._compose(results[-1].position.encode(), draft, now)
        return self._write

    def _results(
        self, seen: Sequence[Seen], notices: Sequence[CameraNotice], model: ModelInfo, now: float
    ) -> list[tuple[FrameResult, ResultContext]]:
        """What comes of the frames that are new here, and who the camera was in each; what it had to say is heard in
        its place among them."""
        waiting = deque(notices)
        results = []
        for one in seen:
            while waiting and waiting[0].at < one.frame.received_at:
                self._tell(waiting.popleft(), model)
            if not self._is_done(one.frame.position):
                result = self._work_on(one, model, now)
                results.append((result, self.context))
                if self._previews is not None:
                    self._previews.offer(self.job.line, one.frame, result)
        for notice in waiting:
            self._tell(notice, model)
        return results

    def is_behind(self, seen: Sequence[Seen], end: EndOfStream | None, excused: Gap | None) -> bool:
        """True where this camera lacks frames before these, or waits for others: nothing of them may be written.

        Frames in `excused` are not missed.
        """
        if self._write is not None:
            return not (seen and seen[-1].frame.position.encode() == self._write.new)
        fresh = next((one.frame for one in seen if not self._is_done(one.frame.position)), end)
        follows = None if fresh is None else fresh.follows
        if follows is not None and excused is not None and follows in excused:
            follows = excused.after
        if follows is None:
            return False
        return not (self._on_stored_road(follows) and (self._cursor or "") >= follows.encode())

    def repeats(self, seen: Sequence[Seen]) -> bool:
        """True where frames that are published as far as is known here come again: Redis may have lost them since."""
        return self._write is None and any(not p.is_live and self._is_done(p) for p in (s.frame.position for s in seen))

    def takes(self, job: CameraJob) -> bool:
        """True where it goes on by this job as it stands: see `RecipeInForce.takes`."""
        is_taken = self._recipe.takes(job)
        if self._chain is not None:
            self._chain.job = self.job
        return is_taken

    @property
    def job(self) -> CameraJob:
        """What its frames are worked on by now."""
        return self._recipe.job

    @property
    def context(self) -> ResultContext:
        """Who it is in its messages."""
        return self._recipe.context

    @property
    def cursor(self) -> str | None:
        """The position it builds on."""
        return self._cursor

    @property
    def live(self) -> bool | None:
        """Whether its frames cannot be asked for again; None before the first."""
        return None if self._last is None else self._last.position.is_live

    def loose(self) -> Untold:
        """What no frame of a write stands behind; `loose_written` when it is stored."""
        # A write of this very call holds the checkpoint itself.
        return Untold(list(self._loose_events), list(self._loose_verdicts), None if self._write else self._ended)

    def loose_written(self) -> None:
        """What `loose` gave is stored."""
        self._loose_events.clear()
        self._loose_verdicts.clear()
        if self._write is None:
            self._ended = None

    def pass_on(self) -> None:
        """Somebody takes over who works by another job: from the last frame that is stored, as this one would go on.

        The checkpoint that is stored of a live camera may be a second older.
        """
        if self._chain is None or self._last is None or self._write is not None or not self.trusted:
            return
        if self._cursor == self._last.position.encode():  # else the chain has seen what is not stored
            self._ended = (self._cursor, self._chain.checkpoint())

    def leave(self, now: float) -> Untold:
        """All that is still to be told, for the one that takes this camera over, or for whoever has the store next."""
        events = [*self._carried_events, *self._lost_event(now), *self._loose_events]
        verdicts = [*self._carried_verdicts, *self._loose_verdicts]
        # With a write that did not land the chain has seen frames that may come again: not a checkpoint to go on from.
        ended = self._ended if self.trusted and self._write is None else None
        return Untold(events, verdicts, ended, self._lost)

    def inherit(self, untold: Untold) -> None:
        """Tell this too, which the one before could not."""
        self._loose_events.extend(untold.events)
        self._loose_verdicts.extend(untold.verdicts)
        self._lost.update(untold.lost)
        if untold.checkpoint is not None and untold.checkpoint[0] == self._cursor:
            self._ended = untold.checkpoint
            self._stored_checkpoint = untold.checkpoint[1]

    def _compose(self, cursor: str, draft: _Draft, now: float) -> CameraWrite:
        job = self.job
        self._to_carry = [*self._carried_events, *draft.events]
        events = [*self._lost_event(now), *self._to_carry]
        verdicts = [*self._carried_verdicts, *draft.verdicts]
        checkpoint = self._checkpoint(bool(verdicts) or self._ended is not None or self._recipe.changed, now)
        at = self._captured[-1]
        return CameraWrite(
            job.camera_id, job.line, self._cursor, cursor, draft.detections, events, verdicts, checkpoint, at
        )

    def settle(self, outcome: WriteOutcome | None, now: float) -> CameraAnswer:
        """Take note of what became of the write; None, as AWAY, means that the store could not take it now.

        After a conflict, or when an earlier attempt went further than this one, `trusted` is False: this tracker no
        longer is the one whose results are stored, and the caller must load the camera anew.
        """
        write, self._write = self._write, None
        if write is None:
            return self._published(0, ())
        if outcome is None or outcome.status is WriteStatus.AWAY:
            is_lost = self._not_written(write, now)
            return CameraAnswer(Outcome.UNAVAILABLE, self._cursor, keeps_count=is_lost, in_force=self._in_force())
        if outcome.status is WriteStatus.REFUSED:
            self.trusted = False
            logger.error("camera %s: Redis refused its results, they are lost: %s", self.job.camera_id, outcome.error)
            return CameraAnswer(Outcome.FAILED, self._cursor)
        if outcome.status is WriteStatus.CONFLICT:
            self.trusted = False
            return CameraAnswer(Outcome.CONFLICT, outcome.stored)
        self.trusted = outcome.status is WriteStatus.WRITTEN or outcome.stored == write.new
        self._build_on(write, now)
        for event in self._cuts.events(outcome.cut, now):
            self._loose_events.append(camera_event_message(event, self.job.camera_id, self.context))
        latencies = tuple(max(0.0, now - at) for at in self._captured)
        answer = self._published(len(write.detections), latencies, self._failed)
        was_stored, self._was_stored = self._was_stored, True
        if not (outcome.lost_tail and was_stored):  # what only the disk had is told where it was let go
            return answer
        lost = {LOST_BY_REDIS: outcome.lost_tail}
        self.tell_lost(lost)  # in the next message: this one is written
        return replace(answer, late_lost=lost)

    def with_checkpoint(self, write: CameraWrite) -> CameraWrite:
        """The write under way, with a checkpoint: for whoever has to go on from it without Redis."""
        if write.checkpoint is None and self._chain is not None:
            write = self._write = replace(write, checkpoint=self._chain.checkpoint())
        return write

    def spooled(self, now: float) -> CameraAnswer:
        """The write lies on disk, to be stored behind all that went before: what comes is built on it."""
        write, self._write = self._write, None
        if write is None:
            return self._published(0, ())
        self._build_on(write, now)
        self._was_stored = False
        return replace(self._published(0, (), self._failed), outcome=Outcome.SPOOLED)

    def tell_lost(self, frames: Mapping[str, int]) -> None:
        """Frames that are lost behind this camera, by reason: to be told in its next message."""
        self._lost.update(frames)

    def _build_on(self, write: CameraWrite, now: float) -> None:
        """The write is in safe hands, with all that was carried until then."""
        self._cursor = write.new
        if write.checkpoint is not None:
            self._checkpoint_at, self._recipe.changed = now, False
        self._carried_events.clear()
        self._carried_verdicts.clear()
        self._lost_frames, self._lost_since = 0, None
        self._lost.clear()
        self._ended = None

    def _published(self, frames: int, latencies_s: tuple[float, ...], failed: int = 0) -> CameraAnswer:
        verdicts, self._verdicts_made = self._verdicts_made, Counter()
        health = None if self._last is None else self._last.health.value
        made = (failed, dict(verdicts), health)
        return CameraAnswer(Outcome.PUBLISHED, self._cursor, frames, latencies_s, *made, in_force=self._in_force())

    def _in_force(self) -> InForce:
        """Parts may go by the recipe before it here, or with whoever goes on from what is stored."""
        if self._chain is None:
            return self._recipe.told(older_parts=self._stored_checkpoint is not None)
        return self._recipe.told(older_parts=self._recipe.changed or self._chain.has_older)

    def _not_written(self, write: CameraWrite, now: float) -> bool:
        """True where its frames are lost, and counted here."""
        if not self.live:
            self._write = write  # the same frames will be sent again, and find it
            return False
        self._lost_frames += len(write.detections)
        self._lost += self._drops + Counter({"sink_unavailable": len(write.detections)})
        self._lost_since = self._lost_since or now
        # What was carried is part of this write: put back, oldest first, with the new behind. But not what was said of
        # the loss: that is said anew, with what it comes to by then.
        self._carry(self._carried_events, self._to_carry)
        self._carry(self._carried_verdicts, write.inspections)
        return True

    def _carry(self, kept: deque[bytes], messages: Sequence[bytes]) -> None:
        if too_many := max(0, len(messages) - MOST_CARRIED):
            tell_dropped(self.job.camera_id, too_many)
        kept.clear()
        kept.extend(messages)

    def _lost_event(self, now: float) -> list[bytes]:
        """One system event when the store is back, saying what it cost."""
        if not self._lost_frames or self._lost_since is None:
            return []
        event = Event(
            event_id=f"{self.job.camera_id}/{self._lost_since:.3f}/sink_unavailable",
            kind="system",
            at=now,
            data={"what": "sink_unavailable", "since": rfc3339(self._lost_since), "frames_lost": self._lost_frames},
        )
        return [camera_event_message(event, self.job.camera_id, self.context)]

    def _checkpoint(self, has_verdicts: bool, now: float) -> bytes | None:
        """Replayable: with each write. Live: at most once a second, and with each verdict."""
        if self._chain is None or self._last is None:
            return None
        live = self._last.position.is_live
        if live and not has_verdicts and now - self._checkpoint_at < LIVE_CHECKPOINT_EVERY_S:
            return None
        return self._chain.checkpoint()

    def _is_done(self, position: Position) -> bool:
        if self._last is not None and position.source == self._last.position.source:
            return position <= self._last.position
        return self._on_stored_road(position) and position.encode() <= (self._cursor or "")

    def _on_stored_road(self, position: Position) -> bool:
        return self._cursor is not None and self._cursor.startswith(position.source + "|")

    def _work_on(self, seen: Seen, model: ModelInfo, now: float) -> FrameResult:
        frame = seen.frame
        chain = self._chain
        if chain is None or frame.position.source != self._road:
            if isinstance(seen.found, FrameFailed):  # such an answer may not know the model's classes
                self._last = failed_result(frame, seen.found.reason, model, seen.timings_ms)
                return self._last
            chain = self._chain = self._begin(frame.position, model)
            self._road = frame.position.source
        changed, cut_short = self._recipe.change_over(chain, frame, now)
        # Blind until now: the interval opens with the notice, and this frame closes it.
        blind = () if self._early is None else chain.notice(self._early).uninspected
        self._early = None
        is_evidence = seen.roi == self.job.roi
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
            result = replace(result, inspections=tuple(self.pictures.with_frame(i, frame) for i in result.inspections))
        self._last = result
        if self.job.annotated_to is not None:
            self._annotate(frame, result)
        return result

    def _begin(self, position: Position, model: ModelInfo) -> CameraChain:
        """A new chain; where the store holds this road's checkpoint, it goes on from there."""
        run = str(position.major) if position.is_live else position.source.partition(":")[2]
        chain = CameraChain(self.job, model.class_names, run)
        checkpoint, self._stored_checkpoint = self._stored_checkpoint, None
        if checkpoint is None or not self._on_stored_road(position):
            return chain
        try:
            chain.restore(checkpoint)
        except (ValueError, KeyError, TypeError) as exc:
            logger.warning("camera %s: checkpoint not usable, tracking starts anew: %s", self.job.camera_id, exc)
            return CameraChain(self.job, model.class_names, run)
        return chain

    def _take_up(self, end: EndOfStream) -> None:
        """Of a camera that comes here with nothing but its end: the parts that were on their way, to be judged by it.

        No picture comes any more, so what the model calls its classes does not matter, but that it knows them.
        """
        at, last = self._stored_at, end.follows
        if self._stored_checkpoint is None or at is None or last is None or self._cursor != last.encode():
            return
        chain = self._begin(last, ModelInfo(self.job.model, "", "", class_names_of(self.job)))
        model = ModelInfo(self.job.model, "", "", ())
        self._chain, self._road = chain, last.source
        self._last = FrameResult(
            camera_id=self.job.camera_id,
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

    def _tell(self, notice: CameraNotice, model: ModelInfo) -> None:
        event = state_event(notice)
        if event.event_id in self._told:
            return
        self._told.append(event.event_id)
        self._state = notice.state
        self._loose_events.append(camera_event_message(event, notice.camera_id, self.context))
        if self._chain is None or self._last is None:
            if not notice.seeing:  # the model's classes are not known yet: told to the chain when it begins
                self._early = self._early or notice
            return
        self._loose_verdicts += self._verdicts(self._chain.notice(notice), self._last, self.context)

    def _verdicts(self, judged: Judged, result: FrameResult, context: ResultContext) -> list[bytes]:
        """The messages; a part that was first seen under another recipe is told under that one's name."""
        self._verdicts_made.update(inspection.verdict.value for inspection in judged.inspections)
        messages = [
            inspection_message(self.pictures.without(i), result, self._recipe.context_of(i.recipe) or context)
            for i in judged.inspections
        ]
        return messages + [uninspected_message(u, result, context) for u in judged.uninspected]

    def _annotate(self, frame: Frame, result: FrameResult) -> None:
        if self._video is None:
            self._video = AnnotatedVideo(Path(self.job.annotated_to or ""))
        self._video.add(frame, result)

    def close(self) -> None:
        """Let go of what is open; the camera has ended or moved."""
        if self._video is not None:
            self._video.close()
            self._video = None


@dataclass(slots=True)
class _Draft:
    """The messages of one write, by stream."""

    detections: list[bytes]
    events: list[bytes] = field(default_factory=list)
    verdicts: list[bytes] = field(default_factory=list)
