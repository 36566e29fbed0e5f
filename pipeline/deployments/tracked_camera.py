"""One camera in a track replica: what is to be written of it, and whether it is still the one that is stored."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.answers import CameraAnswer, Gap, Outcome
from pipeline.deployments.camera_road import CameraRoad, Seen
from pipeline.deployments.chain import state_event
from pipeline.deployments.job import CameraJob
from pipeline.deployments.part_pictures import PartPictures
from pipeline.deployments.reader_cuts import ReaderCuts
from pipeline.deployments.recipe_in_force import RecipeInForce
from pipeline.deployments.unsent import Unsent
from pipeline.deployments.untold import MOST_CARRIED, Untold
from pipeline.sinks.late_writes import LOST_BY_REDIS
from pipeline.sinks.previews import Previews
from pipeline.sinks.redis_streams import CameraWrite, Stored, WriteOutcome, WriteStatus
from pipeline.sinks.snapshots import Snapshots
from stages.errors import StageError
from stages.inspection.inspector import Judged
from stages.results.messages import (
    ResultContext,
    camera_event_message,
    detection_message,
    event_message,
    inspection_message,
    uninspected_message,
)
from stages.values import CameraNotice, EndOfStream, FrameResult, ModelInfo

logger = logging.getLogger(__name__)

LIVE_CHECKPOINT_EVERY_S = 1.0
FAILED = "failed"  # the state, as a notice tells it, of a camera that a person must see to


class TrackedCamera:
    """Owns everything that is known of one camera. `stored` is what the store held when it was taken over."""

    def __init__(
        self, job: CameraJob, stored: Stored, snapshots: Snapshots | None, previews: Previews | None = None
    ) -> None:
        self.trusted = True
        self._recipe = RecipeInForce(job, stored.checkpoint)
        self.pictures = PartPictures(snapshots)
        self._previews = previews
        self._road = CameraRoad(self._recipe, stored, self.pictures)
        self._unsent = Unsent(job.camera_id)
        self._write: CameraWrite | None = None  # under way, or waiting for the same frames to come again
        self._captured: tuple[float, ...] = ()  # of the frames in that write
        self._failed = 0  # of the frames in that write
        self._drops: Counter[str] = Counter()  # what the frames in that write had to tell of frames before them
        self._verdicts_made: Counter[str] = Counter()  # since the last answer that told them
        self._told: deque[str] = deque(maxlen=64)  # the last notices: a resent one is not told twice
        self._loose_events: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._loose_verdicts: deque[bytes] = deque(maxlen=MOST_CARRIED)
        self._state = ""  # that the camera's last notice told
        self._ended: tuple[str, bytes] | None = None  # (cursor, checkpoint) after an end that judged parts
        self._checkpoint_at = 0.0
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
        if results and self._unsent.lost:  # told once, in the first message behind the loss
            results[0] = replace(results[0], dropped=self._unsent.lost + Counter(results[0].dropped))
        contexts = [context for _, context in worked]
        draft = _Draft([detection_message(*one) for one in zip(results, contexts, strict=True)])
        for result, context in zip(results, contexts, strict=True):
            draft.events += [event_message(e, result, context) for e in result.events]
            draft.verdicts += self._verdicts(Judged(result.inspections, result.uninspected), result, context)
        judged_at_end: list[bytes] = []
        if end is not None:
            judged_at_end = self._of_last_frame(self._road.end(end, now, failed=self._state == FAILED))
        # With frames that can be read again they are written at once: their checkpoint takes the parts for judged.
        in_write = bool(results) and self.live is False
        (draft.verdicts if in_write else self._loose_verdicts).extend(judged_at_end)
        # What is stored from before knows these parts as still under way, and of no interval that was opened: whoever
        # goes on from there would judge them again, and never close it.
        told = (judged_at_end and not in_write) or len(self._loose_verdicts) > loose_before
        if told:
            self._mark_end()
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
                self._tell(waiting.popleft())
            if not self._road.is_done(one.frame.position):
                result = self._road.work_on(one, model, now)
                results.append((result, self.context))
                if self._previews is not None:
                    self._previews.offer(self.job.line, one.frame, result)
        for notice in waiting:
            self._tell(notice)
        return results

    def is_behind(self, seen: Sequence[Seen], end: EndOfStream | None, excused: Gap | None) -> bool:
        """True where this camera lacks frames before these, or waits for others: nothing of them may be written.

        Frames in `excused` are not missed.
        """
        if self._write is not None:
            return not (seen and seen[-1].frame.position.encode() == self._write.new)
        fresh = next((one.frame for one in seen if not self._road.is_done(one.frame.position)), end)
        follows = None if fresh is None else fresh.follows
        if follows is not None and excused is not None and follows in excused:
            follows = excused.after
        return follows is not None and not self._road.is_stored(follows)

    def repeats(self, seen: Sequence[Seen]) -> bool:
        """True where frames that are published as far as is known here come again: Redis may have lost them since."""
        if self._write is not None:
            return False
        return any(not p.is_live and self._road.is_done(p) for p in (s.frame.position for s in seen))

    def takes(self, job: CameraJob) -> bool:
        """True where it goes on by this job as it stands: see `RecipeInForce.takes`."""
        return self._road.takes(job)

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
        return self._road.cursor

    @property
    def live(self) -> bool | None:
        """Whether its frames cannot be asked for again; None before the first."""
        last = self._road.last
        return None if last is None else last.position.is_live

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
        if self._write is None and self.trusted and self._road.is_all_stored:
            self._mark_end()

    def leave(self, now: float) -> Untold:
        """All that is still to be told, for the one that takes this camera over, or for whoever has the store next."""
        events, verdicts = self._unsent.left(now, self.context)
        # With a write that did not land the chain has seen frames that may come again: not a checkpoint to go on from.
        ended = self._ended if self.trusted and self._write is None else None
        return Untold([*events, *self._loose_events], [*verdicts, *self._loose_verdicts], ended, self._unsent.lost)

    def inherit(self, untold: Untold) -> None:
        """Tell this too, which the one before could not."""
        self._loose_events.extend(untold.events)
        self._loose_verdicts.extend(untold.verdicts)
        self._unsent.add_lost(untold.lost)
        if untold.checkpoint is not None and untold.checkpoint[0] == self.cursor:
            self._ended = untold.checkpoint
            self._road.begin_from(untold.checkpoint[1])

    def _compose(self, cursor: str, draft: _Draft, now: float) -> CameraWrite:
        job = self.job
        events = self._unsent.events(now, self.context, draft.events)
        verdicts = self._unsent.verdicts(draft.verdicts)
        checkpoint = self._checkpoint(bool(verdicts) or self._ended is not None or self._recipe.changed, now)
        at = self._captured[-1]
        return CameraWrite(
            job.camera_id, job.line, self.cursor, cursor, draft.detections, events, verdicts, checkpoint, at
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
            return CameraAnswer(Outcome.UNAVAILABLE, self.cursor, keeps_count=is_lost, in_force=self._road.in_force())
        if outcome.status is WriteStatus.REFUSED:
            self.trusted = False
            logger.error("camera %s: Redis refused its results, they are lost: %s", self.job.camera_id, outcome.error)
            return CameraAnswer(Outcome.FAILED, self.cursor)
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
        if write.checkpoint is None and (checkpoint := self._road.checkpoint()) is not None:
            write = self._write = replace(write, checkpoint=checkpoint)
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
        self._unsent.add_lost(frames)

    def _build_on(self, write: CameraWrite, now: float) -> None:
        """The write is in safe hands, with all that was carried until then."""
        self._road.cursor = write.new
        if write.checkpoint is not None:
            self._checkpoint_at, self._recipe.changed = now, False
        self._unsent.landed()
        self._ended = None

    def _published(self, frames: int, latencies_s: tuple[float, ...], failed: int = 0) -> CameraAnswer:
        verdicts, self._verdicts_made = self._verdicts_made, Counter()
        health = None if self._road.last is None else self._road.last.health.value
        made = (failed, dict(verdicts), health)
        return CameraAnswer(Outcome.PUBLISHED, self.cursor, frames, latencies_s, *made, in_force=self._road.in_force())

    def _not_written(self, write: CameraWrite, now: float) -> bool:
        """True where its frames are lost, and counted here."""
        if not self.live:
            self._write = write  # the same frames will be sent again, and find it
            return False
        self._unsent.keep(write, self._drops, now)
        return True

    def _checkpoint(self, has_verdicts: bool, now: float) -> bytes | None:
        """Replayable: with each write. Live: at most once a second, and with each verdict."""
        if self.live and not has_verdicts and now - self._checkpoint_at < LIVE_CHECKPOINT_EVERY_S:
            return None
        return self._road.checkpoint()

    def _mark_end(self) -> None:
        """What is known now is to be stored for the cursor, though no frame comes with it."""
        cursor, checkpoint = self.cursor, self._road.checkpoint()
        if cursor is not None and checkpoint is not None:
            self._ended = (cursor, checkpoint)

    def _tell(self, notice: CameraNotice) -> None:
        event = state_event(notice)
        if event.event_id in self._told:
            return
        self._told.append(event.event_id)
        self._state = notice.state
        self._loose_events.append(camera_event_message(event, notice.camera_id, self.context))
        self._loose_verdicts += self._of_last_frame(self._road.notice(notice))

    def _of_last_frame(self, judged: Judged) -> list[bytes]:
        """The messages of what was judged without a frame of its own."""
        last = self._road.last
        return [] if last is None else self._verdicts(judged, last, self.context)

    def _verdicts(self, judged: Judged, result: FrameResult, context: ResultContext) -> list[bytes]:
        """The messages; a part that was first seen under another recipe is told under that one's name."""
        self._verdicts_made.update(inspection.verdict.value for inspection in judged.inspections)
        messages = [
            inspection_message(self.pictures.without(i), result, self._recipe.context_of(i.recipe) or context)
            for i in judged.inspections
        ]
        return messages + [uninspected_message(u, result, context) for u in judged.uninspected]

    def close(self) -> None:
        """Let go of what is open; the camera has ended or moved."""
        self._road.close()


@dataclass(slots=True)
class _Draft:
    """The messages of one write, by stream."""

    detections: list[bytes]
    events: list[bytes] = field(default_factory=list)
    verdicts: list[bytes] = field(default_factory=list)
