"""One camera's inspection: parts come, are judged once at the trigger, and go."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.inspection.belt import Belt
from stages.inspection.boxes import OwnedMarks, PartBox
from stages.inspection.frame_time import FrameTime
from stages.inspection.matching import match
from stages.inspection.nearness import Nearness
from stages.inspection.part import Part, Sighting
from stages.inspection.rules import Rules
from stages.inspection.settings import RESERVED, InspectionSettings
from stages.inspection.sight import Sight
from stages.inspection.trigger import WHOLE, Box, Extent, Trigger, Way, between, center
from stages.inspection.verdict import CHANGEOVER, FIRST_SEEN_LATE, IDENTITY_UNSURE, LOST, Decision, Passage, decide
from stages.values import (
    CameraId,
    Defect,
    HealthState,
    Inspection,
    Position,
    Tracks,
    Uninspected,
)

VERSION = 1  # of the checkpoint
MAX_PARTS = 64  # known at once; beyond it the one unseen longest is let go
MEMORY_S = 60.0  # time a part that was judged is remembered unseen
TOLD_IDS = 48  # track ids remembered, so that one used again gives another inspection id
MOVED = 0.25  # part lengths something must move down the belt to be a part
CREPT = 0.1  # and to be one that vanished with the trigger just behind it: more than a box trembles
START_SLACK_S = 0.3  # crossings so soon after the start may have been before it
_FINDS_PARTS = ("part_label", "trigger", "part_length", "dedupe_distance", "wide_factor", "edge_margin")


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
        self._way = Way(settings.vector)
        self._trigger = Trigger(settings)
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
        self._size_wh, self._position = size_wh, position
        at, jumped = captured_at, self._on_time(captured_at, received_at, lost)
        if health is not HealthState.OK:
            return self._blind_frame(at, health, blind_since)
        if repeated and self._belt.is_running:
            return Judged()  # a belt does not stop from one picture to the next: what it shows now is not seen
        uninspected = jumped + self._hole_before(at) + self._sight.regain(at)
        seen = self._find_parts(tracks, at)
        if is_evidence and not repeated:
            self._count_votes(tracks, seen)
        return Judged(self._judge(at, now) + self._let_go(at, now), uninspected)

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
        travel = self._belt.travel + (0.0 if self._sight.seeing else self._belt.expected(at))
        gone = [part for part in self._parts if self._is_missed(part) and self._place(part, travel) >= 0]
        lost = tuple(self._lose(part, LOST, at, at if now is None else now) for part in gone)
        return Judged(lost, () if blind else self._sight.regain(at))

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the last picture."""
        return self._size_wh

    @property
    def under_way(self) -> int:
        """Parts, or what may yet prove to be one, that were seen and have no verdict."""
        return sum(not part.done for part in self._parts)

    @property
    def has_older(self) -> bool:
        """True while some of these go by the rules of a recipe before."""
        return any(not part.done and part.rules is not self._rules for part in self._parts)

    def succeeded_by(self, other: Inspector, now: float, *, sees_alike: bool) -> tuple[Inspection, ...]:
        """From the next frame on `other` inspects, by its own rules; it knows all that is known here. This one is done.

        Where both find parts alike, those under way keep the rules they were first seen under. Else nobody could judge
        them any more: they are told now, indeterminate. What is not sure to be a part yet begins anew with `other`. One
        that the trigger here was not for cannot pass the one there.
        `sees_alike`: False where what it is shown will come about in another way, and is no evidence for them.
        """
        alike = sees_alike and self._finds_as(other)
        told = () if alike else self._cut_short(now)
        other._take_over(self, alike)
        return told

    def retire(self, now: float) -> Judged:
        """Nobody inspects any more: parts under way are told, indeterminate, and an open interval is closed."""
        at = self._time.last_at
        return Judged(self._cut_short(now), () if at is None else self._sight.regain(at))

    def reset(self) -> None:
        """Forget everything: as new."""
        self._belt = Belt(self._settings.part_length)
        self._sight = Sight(self._camera_id, self._run, self._settings.blind_after_s)
        self._parts: list[Part] = []
        self._told: deque[int] = deque(maxlen=TOLD_IDS)
        self._time = FrameTime()
        self._size_wh = (1, 1)
        self._position = Position("", 0, 0)

    def checkpoint(self) -> dict[str, Any]:
        """Plain data that msgpack takes: about 150 bytes and 200 for each part in the picture."""
        runs = sorted({part.run for part in self._parts} | {self._run})
        return {
            "version": VERSION,
            "recipe": self._rules.name,
            "rules": self._rules.fingerprint,
            "finds": self._finds(),
            "run": self._run,
            "runs": runs,
            "belt": self._belt.checkpoint(),
            "sight": self._sight.checkpoint(),
            "parts": [part.checkpoint(runs.index(part.run)) for part in self._parts],
            "told": list(self._told),
            "times": self._time.checkpoint(),
            "frame": [*self._size_wh, self._position.encode()],
            **self._rules_checkpoint(),
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
        self._belt.restore(checkpoint["belt"])
        self._sight.restore(checkpoint["sight"])
        self._parts = self._restored_parts(checkpoint, others)
        if checkpoint["run"] == self._run:
            self._told.extend(checkpoint["told"])
        self._time.restore(checkpoint["times"])
        width, height, position = checkpoint["frame"]
        self._size_wh, self._position = (width, height), Position.decode(position)

    def _rules_checkpoint(self) -> dict[str, Any]:
        """Whose rules each part goes by; nothing where all go by these."""
        theirs = [self._rules if part.done else part.rules for part in self._parts]
        older = list(dict.fromkeys(rules for rules in theirs if rules is not self._rules))
        if not older:
            return {}
        names = [[rules.name, rules.fingerprint] for rules in older]
        return {"older": names, "goes_by": [older.index(r) if r is not self._rules else -1 for r in theirs]}

    def _restored_parts(self, checkpoint: Mapping[str, Any], others: Sequence[Rules]) -> list[Part]:
        known = {(rules.name, rules.fingerprint): rules for rules in (*others, self._rules)}
        older = [known.get((name, fingerprint)) for name, fingerprint in checkpoint.get("older", ())]
        current = known.get((checkpoint.get("recipe", self._rules.name), checkpoint["rules"]))
        finds = self._finds()
        alike = checkpoint.get("finds", finds) == finds
        goes_by = checkpoint.get("goes_by") or [-1] * len(checkpoint["parts"])
        parts = []
        for data, number in zip(checkpoint["parts"], goes_by, strict=True):
            rules = current if number < 0 else older[number]
            part = Part.restored(data, checkpoint["runs"], rules or self._rules)
            if rules is None and not part.done:
                part.votes = self._rules.votes()
            if not part.done and (rules is None or not alike):
                part.trouble(CHANGEOVER)
            if not (part.done or alike):
                self._note_passed(part)
            parts.append(part)
        return parts

    def _note_passed(self, part: Part) -> None:
        """Where the trigger was moved to behind the part: it will not come there, and is told all the same."""
        middle = center(part.box)
        if part.crossed_at is None and self._trigger.passed(middle) >= 0 and self._trigger.spans(middle):
            part.crossed_at, part.crossed_box = part.seen_at, part.box

    # changeover

    def _finds_as(self, other: Inspector) -> bool:
        ours, theirs = self._settings, other._settings
        same = all(getattr(ours, name) == getattr(theirs, name) for name in _FINDS_PARTS)
        return same and ours.vector == theirs.vector and self._view == other._view

    def _finds(self) -> int:
        """Another number where parts are found otherwise, as by a trigger that was moved."""
        by = [getattr(self._settings, name) for name in _FINDS_PARTS]
        return zlib.crc32(repr((by, self._settings.vector, self._view)).encode())

    def _cut_short(self, now: float) -> tuple[Inspection, ...]:
        at = self._time.last_at
        if at is None:
            return ()
        cut = [part for part in self._parts if self._is_missed(part) or self._waits(part)]
        return tuple(self._lose(part, CHANGEOVER, at, now) for part in cut)

    def _waits(self, part: Part) -> bool:
        """True for what stands before the trigger with a belt that stands: it cannot show that it is a part."""
        if part.done or self._belt.is_running or part.sightings < part.rules.settings.min_sightings:
            return False
        middle = center(part.box)
        return self._trigger.passed(middle) < 0 and self._trigger.spans(middle)

    def _take_over(self, before: Inspector, alike: bool) -> None:
        self._sight, self._time, self._told = before._sight, before._time, before._told
        self._sight.blind_after_s = self._settings.blind_after_s
        self._size_wh, self._position = before._size_wh, before._position
        self._parts = before._parts
        for part in self._parts if not alike else ():
            if not part.done and before._is_real(part):
                part.trouble(CHANGEOVER)
            part.votes, part.rules = self._rules.votes(), self._rules
        if before._way.step == self._way.step:
            self._belt.restore(before._belt.checkpoint())
            self._belt.forget_sizes()  # what comes may be another product: it would be touching for ever
        else:
            for part in self._parts:  # this belt's odometer begins now
                part.travel, part.start = 0.0, self._way.along(center(part.box))

    # time and sight

    def _on_time(self, captured_at: float, received_at: float | None, lost: int) -> tuple[Uninspected, ...]:
        """Where the clock was set, everything remembered goes with it.

        A clock set forward looks like frames lost on their way in a burst: then these are other parts, and some may
        have passed.
        """
        last_at = self._time.last_at
        step_s = self._time.step(captured_at, received_at, lost)
        if step_s:
            self._belt.shift(step_s)
            self._sight.shift(step_s)
            for part in self._parts:
                part.shift(step_s)
        if step_s <= 0 or last_at is None or not self._sight.seeing:
            return ()
        self._doubt(IDENTITY_UNSURE)
        return self._sight.hole(last_at, captured_at)

    def _blind_frame(self, at: float, health: HealthState, since: float | None) -> Judged:
        self._time.move_on(at)
        return self._go_blind(at, health.value, since=since)

    def _go_blind(self, at: float, reason: str, *, since: float | None = None, at_once: bool = False) -> Judged:
        self._doubt(reason)
        return Judged(uninspected=self._sight.lose(at, reason, since=since, at_once=at_once))

    def _doubt(self, reason: str) -> None:
        """The parts on their way can no longer pass."""
        for part in self._parts:
            if not part.done:
                part.trouble(reason)

    def _hole_before(self, at: float) -> tuple[Uninspected, ...]:
        since = self._time.move_on(at)
        longest_s = max(self._settings.max_gap_ms / 1000, self._settings.blind_after_s)
        if since is None or not self._sight.seeing or at - since <= longest_s:
            return ()
        return self._sight.hole(since, at)

    # parts

    def _find_parts(self, tracks: Tracks, at: float) -> list[tuple[Part, PartBox]]:
        """Every part in this frame with its box; parts and belt know of it afterwards."""
        size = self._part_size()
        boxes = self._rules.look.parts(tracks, self._size_wh, size)
        near = Nearness(self._way, self._settings.dedupe_distance, size, self._view)
        matching = match(self._parts, boxes, self._belt, at, near)
        self._belt.advance(at, matching.travel, matching.told_by)
        if matching.doubtful:
            self._doubt(IDENTITY_UNSURE)
        for part, box in matching.pairs:
            self._see(part, box, at)
        newborn = [(self._bear(box, at), box) for box in matching.strangers]
        self._parts.extend(part for part, _ in newborn)
        return matching.pairs + newborn

    def _part_size(self) -> Extent | None:
        """Size of one part, as far as parts that moved with the belt have told it."""
        moving = [part for part in self._parts if not part.done and self._is_real(part)]
        return self._belt.part_size(size for part in moving if (size := part.size))

    def _see(self, part: Part, box: PartBox, at: float) -> None:
        before, before_at = part.box, part.seen_at
        self._unlink(box.link)
        part.see(box, at, self._belt.travel, self._way)
        if part.done or part.crossed_at is not None:
            return
        share = self._trigger.crossing(center(before), center(part.box))
        if share is not None:
            part.crossed_at = before_at + (at - before_at) * share
            part.crossed_box = between(before, part.box, share)

    def _bear(self, box: PartBox, at: float) -> Part:
        self._unlink(box.link)
        start = self._way.along(center(box.box))
        votes = self._rules.votes()
        place = (box.box, box.clear, at, self._belt.travel, start)
        part = Part(self._run, box.track_id, box.link, *place, votes, self._rules)
        part.measure(box, self._way)
        passed = self._trigger.passed(center(box.box))
        if passed >= 0:
            self._bear_late(part, passed, at)
        return part

    def _bear_late(self, part: Part, passed: float, at: float) -> None:
        """First seen past the trigger: not ours where it crossed before the run began, or on another lane."""
        cruise, started_at = self._belt.cruise, self._time.started_at
        if cruise is None or started_at is None or not self._trigger.spans(center(part.box)):
            part.done = True
            return
        crossed_at = at - passed / cruise
        if crossed_at < started_at + START_SLACK_S:
            part.done = True
            return
        part.crossed_at, part.crossed_box = crossed_at, self._way.carried(part.box, -passed)
        part.trouble(FIRST_SEEN_LATE)

    def _unlink(self, link: int) -> None:
        """A track hangs on one part only: the one it was seen on last."""
        for part in self._parts if link >= 0 else ():
            if part.link == link:
                part.link = -1

    def _count_votes(self, tracks: Tracks, seen: Sequence[tuple[Part, PartBox]]) -> None:
        for rules in dict.fromkeys(part.rules for part, _ in seen):  # but behind a changeover these are one
            marks = rules.look.owners([box.box for _, box in seen], rules.look.marks(tracks, self._size_wh))
            for (part, box), shown in zip(seen, marks, strict=True):
                if part.rules is rules and not part.done:
                    _vote(part, box, shown)

    # verdicts

    def _judge(self, at: float, now: float) -> tuple[Inspection, ...]:
        ready = [
            (part.crossed_at, part)
            for part in self._parts
            if part.crossed_at is not None and not part.done and part.seen_at == at and self._is_real(part)
        ]
        ready.sort(key=lambda item: item[0])
        return tuple(self._verdict(part, crossed_at, part.crossed_box or part.box, now) for crossed_at, part in ready)

    def _let_go(self, at: float, now: float) -> tuple[Inspection, ...]:
        """Parts not in this frame: forget those that left, call lost those that vanished before the trigger."""
        lost, kept = [], []
        for part in self._parts:
            if part.seen_at == at:
                kept.append(part)
                continue
            part.missed += 1
            left = self._has_left(part)
            if not left and not self._is_overdue(part, at):
                kept.append(part)
                continue
            if self._is_missed(part) and (not left or self._place(part, self._belt.travel) >= 0):
                lost.append(self._lose(part, LOST, at, now))
                kept += [] if left else [part]  # should it come back, it is known
        self._parts = kept
        while len(kept) > MAX_PARTS:
            self._parts.remove(min(kept, key=lambda part: (not part.done, part.seen_at)))
        return tuple(lost)

    def _is_overdue(self, part: Part, at: float) -> bool:
        """True when an unseen part is not waited for any longer. What was seen only now and then flickers: no part."""
        if part.done:
            return self._unseen_s(part, at) >= MEMORY_S
        settings = part.rules.settings
        flickers = part.sightings < settings.min_sightings and part.missed >= part.sightings
        return flickers or self._unseen_s(part, at) >= settings.lost_after_s

    def _unseen_s(self, part: Part, at: float) -> float:
        """Time in which the part could have been seen and was not."""
        back_at = self._sight.back_at
        return at - (part.seen_at if back_at is None else max(part.seen_at, back_at))

    def _has_left(self, part: Part) -> bool:
        """True when the belt must have carried the whole part out of view."""
        x1, y1, x2, y2 = self._way.carried(part.box, self._belt.travel - part.travel)
        left, top, right, bottom = self._view
        return x2 < left or y2 < top or x1 > right or y1 > bottom

    def _is_missed(self, part: Part) -> bool:
        """True for a real part that was last seen on its way to the trigger, or just past it and not sure of yet."""
        if part.done:
            return False
        if part.crossed_at is not None:
            return FIRST_SEEN_LATE not in part.troubles and self._has_moved(part, CREPT)
        middle = center(part.box)
        return self._trigger.passed(middle) < 0 and self._trigger.spans(middle) and self._has_moved(part, MOVED)

    def _is_real(self, part: Part) -> bool:
        """True for what was seen often enough, and moved with the belt: no flicker, no fixture."""
        return self._has_moved(part, MOVED)

    def _has_moved(self, part: Part, lengths: float) -> bool:
        enough = part.sightings >= part.rules.settings.min_sightings
        return enough and part.moved_on(self._way) >= lengths * self._way.extent(part.box).along

    def _place(self, part: Part, travel: float) -> float:
        """Where the part must be, by the belt's odometer: negative before the trigger."""
        return self._trigger.passed(center(part.box)) + travel - part.travel

    def _lose(self, part: Part, reason: str, at: float, now: float) -> Inspection:
        part.trouble(reason)
        before = -self._trigger.passed(center(part.box))
        crossed_at = part.crossed_at
        if crossed_at is None:
            crossed_at = part.seen_at + before / self._belt.cruise if self._belt.cruise else part.seen_at
        return self._verdict(part, min(crossed_at, at), part.box, now)

    def _verdict(self, part: Part, crossed_at: float, box: Box, now: float) -> Inspection:
        part.done = True
        self._belt.learn_size(part.size)
        votes, rules = part.votes, part.rules.settings
        decision = decide(rules, Passage(votes, part.sightings, part.gap_s, tuple(part.troubles)))
        return Inspection(
            inspection_id=self._inspection_id(part),
            camera_id=self._camera_id,
            station=self._station,
            track_id=part.track_id,
            verdict=decision.verdict,
            reasons=decision.reasons,
            defects=self._defects(decision, part, box),
            votes={RESERVED: votes.usable, **dict(zip(rules.rule_names, votes.seen, strict=True))},
            captured_at=crossed_at,
            decided_at=now,
            xyxy=self._pixels(box),
            position=self._position,
            seen_xyxy=self._pixels(part.box) if part.seen_at == self._time.last_at else None,
            recipe=part.rules.name,
        )

    def _inspection_id(self, part: Part) -> str:
        """Camera, run and track; where the tracker used an id for several parts, their number as well."""
        before = self._told.count(part.track_id)
        self._told.append(part.track_id)
        return f"{self._camera_id}/{part.run}/{part.track_id}" + (f".{before}" if before else "")

    def _defects(self, decision: Decision, part: Part, whole: Box) -> tuple[Defect, ...]:
        """Each certain defect where it was seen best; one of something that is not there, on the whole part."""
        defects, rules = [], part.rules
        for found in decision.found:
            missing = found.rule < len(rules.settings.required) and found.rule not in rules.banded
            best = Sighting(found.share, whole, whole)
            if not missing:
                best = part.votes.best.get(found.rule, best)
            on_part = None if best.part is None else self._pixels(best.part)
            defects.append(Defect(found.name, round(best.score, 4), self._pixels(best.box), on_part))
        return tuple(defects)

    def _pixels(self, box: Box) -> Box:
        width, height = self._size_wh
        return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def _vote(part: Part, box: PartBox, shown: OwnedMarks) -> None:
    rules = part.rules
    if box.merged or rules.look.doubled(box.box, shown.own):
        part.votes.merged += 1
    elif not box.cut:
        part.votes.add(shown, box.box, len(rules.settings.required), rules.banded)
