"""One camera's inspection: parts come, are judged once at the trigger, and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.inspection.boxes import OwnedMarks, PartBox
from stages.inspection.clerk import Clerk
from stages.inspection.frame_time import FrameTime
from stages.inspection.part import Part
from stages.inspection.parts import Parts
from stages.inspection.rules import Rules
from stages.inspection.settings import InspectionSettings
from stages.inspection.sight import Sight
from stages.inspection.trigger import WHOLE, Box
from stages.inspection.verdict import IDENTITY_UNSURE
from stages.values import CameraId, HealthState, Inspection, Position, Tracks, Uninspected

VERSION = 1  # of the checkpoint


@dataclass(frozen=True, slots=True)
class Judged:
    """What became certain with one frame."""

    inspections: tuple[Inspection, ...] = ()
    uninspected: tuple[Uninspected, ...] = ()


class Inspector:
    """Gives every part of one camera its one verdict. Times are Unix seconds of capture, handed in; nothing waits.

    `run` names the epoch or run in which parts are born; with the track id it makes their identity. The same calls give
    the same answers, and so do the calls after a checkpoint, once it is restored. `view` is what the model sees of the
    picture (x1 y1 x2 y2, fractions of it): parts come and go at its edges. `recipe` names whose rules these are.
    """

    def __init__(
        self,
        settings: InspectionSettings,
        camera_id: CameraId,
        station: str,
        run: str,
        class_names: Sequence[str],
        view: Box = WHOLE,
        recipe: str = "",
    ) -> None:
        self._settings = settings
        self._camera_id = camera_id
        self._station = station
        self._run = run
        self._view = view
        self._rules = Rules(settings, class_names, view, recipe)  # of parts that are first seen from now on
        self.reset()

    def update(
        self,
        tracks: Tracks,
        size_wh: tuple[int, int],
        position: Position,
        captured_at: float,
        health: HealthState,
        now: float,
        *,
        received_at: float | None = None,
        blind_since: float | None = None,
        repeated: bool = False,
        lost: int = 0,
        is_evidence: bool = True,
    ) -> Judged:
        """What a processed frame shows. Frames come in order; missing ones are no reason for anything by themselves.

        `received_at`: a live frame's arrival by our clock, against which a step of the camera's clock shows.
        `blind_since`: when trouble with the picture began, where `health` tells only now. `repeated`: the very same
        picture as the one before, which is no second look at any part. `lost`: frames dropped since the one before.
        `is_evidence`: False where the model was shown something else than these rules ask for: parts are followed, and
        nothing votes.
        """
        self._clerk.turn_to(size_wh, position)
        at, jumped = captured_at, self._on_time(captured_at, received_at, lost)
        if health is not HealthState.OK:
            return self._blind_frame(at, health, blind_since)
        if repeated and self._parts.belt.is_running:
            return Judged()  # a belt does not stop from one picture to the next: what it shows now is not seen
        uninspected = jumped + self._hole_before(at) + self._sight.regain(at)
        seen = self._parts.find(tracks, size_wh, at, self._time.started_at)
        if is_evidence and not repeated:
            _count_votes(seen, tracks, size_wh)
        judged = self._clerk.write(self._parts.crossed(at), at, now)
        judged += self._clerk.write(self._parts.let_go(at, self._sight.back_at), at, now)
        return Judged(judged, uninspected)

    def camera_state(self, at: float, *, seeing: bool, reason: str) -> Judged:
        """The camera was lost, or the model is not ready: nobody has seen anything since the last frame.

        Unseen, the parts on their way can no longer pass. That it is back the next good frame says, by its own clock;
        `at`, by ours, counts only where no frame came yet.
        """
        if seeing:
            return Judged()
        return self._go_blind(at if self._time.last_at is None else self._time.last_at, reason, at_once=True)

    def end(self, at: float, now: float | None = None, *, blind: bool = False) -> Judged:
        """The stream is over: parts that must have crossed unseen are lost, an open interval is closed.

        `blind`: it is over because it failed, and the line runs on unseen; the interval stays open.
        """
        at = at if self._time.last_at is None else max(at, self._time.last_at)
        gone = self._parts.gone_by(at, seeing=self._sight.seeing)
        lost = self._clerk.write(gone, self._time.last_at, at if now is None else now)
        return Judged(lost, () if blind else self._sight.regain(at))

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the last picture."""
        return self._clerk.size_wh

    @property
    def under_way(self) -> int:
        """Parts, or what may yet prove to be one, that were seen and have no verdict."""
        return self._parts.under_way

    @property
    def has_older(self) -> bool:
        """True while some of these go by the rules of a recipe before."""
        return self._parts.has_older

    def succeeded_by(self, other: Inspector, now: float, *, sees_alike: bool) -> tuple[Inspection, ...]:
        """From the next frame on `other` inspects, by its own rules; it knows all that is known here. This one is done.

        Where both find parts alike, those under way keep the rules they were first seen under. Else nobody could judge
        them any more: they are told now, indeterminate. What is not sure to be a part yet begins anew with `other`. One
        that the trigger here was not for cannot pass the one there.
        `sees_alike`: False where what it is shown will come about in another way, and is no evidence for them.
        """
        alike = sees_alike and self._parts.finds_as(other._parts)
        told = () if alike else self._cut_short(now)
        other._take_over(self, alike)
        return told

    def retire(self, now: float) -> Judged:
        """Nobody inspects any more: parts under way are told, indeterminate, and an open interval is closed."""
        at = self._time.last_at
        return Judged(self._cut_short(now), () if at is None else self._sight.regain(at))

    def reset(self) -> None:
        """Forget everything: as new."""
        self._parts = Parts(self._settings, self._rules, self._run, self._view)
        self._sight = Sight(self._camera_id, self._run, self._settings.blind_after_s)
        self._clerk = Clerk(self._camera_id, self._station)
        self._time = FrameTime()

    def checkpoint(self) -> dict[str, Any]:
        """Plain data that msgpack takes: about 150 bytes and 200 for each part in the picture."""
        return {
            "version": VERSION,
            **self._parts.checkpoint(),
            "sight": self._sight.checkpoint(),
            "times": self._time.checkpoint(),
            **self._clerk.checkpoint(),
        }

    def restore(self, checkpoint: Mapping[str, Any], others: Sequence[Rules] = ()) -> None:
        """Go on where `checkpoint` was made. Raises ValueError for a version this one cannot read.

        Parts on their way keep the rules they were first seen under, where these are its own or in `others`. Without
        them their votes no longer mean anything, and from those of the pictures to come alone nobody can judge a part:
        it is indeterminate. So are those that were found otherwise, as before another trigger.
        """
        if checkpoint.get("version") != VERSION:
            raise ValueError(f"inspection checkpoint has version {checkpoint.get('version')}, this reads {VERSION}")
        self.reset()
        self._parts.restore(checkpoint, others)
        self._sight.restore(checkpoint["sight"])
        self._time.restore(checkpoint["times"])
        self._clerk.restore(checkpoint["told"] if checkpoint["run"] == self._run else (), checkpoint["frame"])

    # changeover

    def _cut_short(self, now: float) -> tuple[Inspection, ...]:
        at = self._time.last_at
        return () if at is None else self._clerk.write(self._parts.cut_short(at), at, now)

    def _take_over(self, before: Inspector, alike: bool) -> None:
        self._sight, self._time = before._sight, before._time
        self._sight.blind_after_s = self._settings.blind_after_s
        self._clerk.take_over(before._clerk)
        self._parts.take_over(before._parts, alike=alike)

    # time and sight

    def _on_time(self, captured_at: float, received_at: float | None, lost: int) -> tuple[Uninspected, ...]:
        """Where the clock was set, everything remembered goes with it.

        A clock set forward looks like frames lost on their way in a burst: then these are other parts, and some may
        have passed.
        """
        last_at = self._time.last_at
        step_s = self._time.step(captured_at, received_at, lost)
        if step_s:
            self._parts.shift(step_s)
            self._sight.shift(step_s)
        if step_s <= 0 or last_at is None or not self._sight.seeing:
            return ()
        self._parts.doubt(IDENTITY_UNSURE)
        return self._sight.hole(last_at, captured_at)

    def _blind_frame(self, at: float, health: HealthState, since: float | None) -> Judged:
        self._time.move_on(at)
        return self._go_blind(at, health.value, since=since)

    def _go_blind(self, at: float, reason: str, *, since: float | None = None, at_once: bool = False) -> Judged:
        self._parts.doubt(reason)
        return Judged(uninspected=self._sight.lose(at, reason, since=since, at_once=at_once))

    def _hole_before(self, at: float) -> tuple[Uninspected, ...]:
        since = self._time.move_on(at)
        longest_s = max(self._settings.max_gap_ms / 1000, self._settings.blind_after_s)
        if since is None or not self._sight.seeing or at - since <= longest_s:
            return ()
        return self._sight.hole(since, at)


def _count_votes(seen: Sequence[tuple[Part, PartBox]], tracks: Tracks, size_wh: tuple[int, int]) -> None:
    """What this frame says of each part, by the rules the part goes by."""
    for rules in dict.fromkeys(part.rules for part, _ in seen):  # but behind a changeover these are one
        marks = rules.look.owners([box.box for _, box in seen], rules.look.marks(tracks, size_wh))
        for (part, box), shown in zip(seen, marks, strict=True):
            if part.rules is rules and not part.done:
                _vote(part, box, shown)


def _vote(part: Part, box: PartBox, shown: OwnedMarks) -> None:
    rules = part.rules
    if box.merged or rules.look.doubled(box.box, shown.own):
        part.votes.merged += 1
    elif not box.cut:
        part.votes.add(shown, box.box, len(rules.settings.required), rules.banded)
