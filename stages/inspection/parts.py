"""The parts on one camera's belt: found in every frame, followed over the trigger, and let go."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stages.inspection.belt import Belt
from stages.inspection.boxes import PartBox
from stages.inspection.course import Course
from stages.inspection.matching import match
from stages.inspection.nearness import Nearness
from stages.inspection.part import Part
from stages.inspection.rules import Rules
from stages.inspection.settings import InspectionSettings
from stages.inspection.trigger import Box, Extent, between, center
from stages.inspection.verdict import CHANGEOVER, FIRST_SEEN_LATE, IDENTITY_UNSURE, LOST
from stages.values import Tracks

MAX_PARTS = 64  # known at once; beyond it the one unseen longest is let go
MEMORY_S = 60.0  # time a part that was judged is remembered unseen
START_SLACK_S = 0.3  # crossings so soon after the start may have been before it
_FINDS_PARTS = ("part_label", "trigger", "part_length", "dedupe_distance", "wide_factor", "edge_margin")


class Crossing(NamedTuple):
    """A part to be judged now: when its middle crossed the trigger, or must have, and its box then."""

    part: Part
    at: float
    box: Box


class Parts:
    """Knows every part once, from its first sighting until it must have left, and gives each to be judged once.

    `run` names the epoch or run in which parts are born, `rules` are of those first seen from now on.
    """

    def __init__(self, settings: InspectionSettings, rules: Rules, run: str, view: Box) -> None:
        self.belt = Belt(settings.part_length)
        self._settings = settings
        self._rules = rules
        self._run = run
        self._view = view
        self._course = Course(settings, view)
        self._known: list[Part] = []

    def find(
        self, tracks: Tracks, size_wh: tuple[int, int], at: float, started_at: float | None
    ) -> list[tuple[Part, PartBox]]:
        """Every part in this frame with its box; parts and belt know of it afterwards.

        `started_at`: when the first frame was taken. What crossed before that is not ours.
        """
        size = self._part_size()
        boxes = self._rules.look.parts(tracks, size_wh, size)
        near = Nearness(self._course.way, self._settings.dedupe_distance, size, self._view)
        matching = match(self._known, boxes, self.belt, at, near)
        self.belt.advance(at, matching.travel, matching.told_by)
        if matching.doubtful:
            self.doubt(IDENTITY_UNSURE)
        for part, box in matching.pairs:
            self._see(part, box, at)
        newborn = [(self._bear(box, at, started_at), box) for box in matching.strangers]
        self._known.extend(part for part, _ in newborn)
        return matching.pairs + newborn

    def crossed(self, at: float) -> list[Crossing]:
        """Those in this frame that have crossed, in that order; now they are sure to be parts."""
        ready = [
            Crossing(part, part.crossed_at, part.crossed_box or part.box)
            for part in self._known
            if part.crossed_at is not None and not part.done and part.seen_at == at and self._course.is_real(part)
        ]
        ready.sort(key=lambda crossing: crossing.at)
        for crossing in ready:
            self._finish(crossing.part)
        return ready

    def let_go(self, at: float, back_at: float | None) -> list[Crossing]:
        """Parts not in this frame: forget those that left, call lost those that vanished before the trigger.

        `back_at`: when the camera last began to see again. Before that nothing could be seen.
        """
        lost, kept = [], []
        for part in self._known:
            if part.seen_at == at:
                kept.append(part)
                continue
            part.missed += 1
            left = self._course.has_left(part, self.belt.travel)
            if not left and not _is_overdue(part, at, back_at):
                kept.append(part)
                continue
            if self._course.is_missed(part) and (not left or self._course.place(part, self.belt.travel) >= 0):
                lost.append(self._lose(part, LOST, at))
                kept += [] if left else [part]  # should it come back, it is known
        self._known = kept
        while len(kept) > MAX_PARTS:
            self._known.remove(min(kept, key=lambda part: (not part.done, part.seen_at)))
        return lost

    def gone_by(self, at: float, *, seeing: bool) -> list[Crossing]:
        """Nobody looks any more: those that must have crossed unseen by now. `seeing`: until now all was seen."""
        travel = self.belt.travel + (0.0 if seeing else self.belt.expected(at))
        gone = [part for part in self._known if self._course.is_missed(part) and self._course.place(part, travel) >= 0]
        return [self._lose(part, LOST, at) for part in gone]

    def cut_short(self, at: float) -> list[Crossing]:
        """A changeover leaves nobody who could judge these: all that were on their way to the trigger."""
        stands = not self.belt.is_running
        cut = [part for part in self._known if self._course.is_missed(part) or (stands and self._course.waits(part))]
        return [self._lose(part, CHANGEOVER, at) for part in cut]

    def doubt(self, reason: str) -> None:
        """The parts on their way can no longer pass."""
        for part in self._known:
            if not part.done:
                part.trouble(reason)

    def shift(self, by_s: float) -> None:
        """Move remembered times: the camera's clock jumped."""
        self.belt.shift(by_s)
        for part in self._known:
            part.shift(by_s)

    @property
    def under_way(self) -> int:
        """Parts, or what may yet prove to be one, that were seen and have no verdict."""
        return sum(not part.done for part in self._known)

    @property
    def has_older(self) -> bool:
        """True while some of these go by the rules of a recipe before."""
        return any(not part.done and part.rules is not self._rules for part in self._known)

    def finds_as(self, other: Parts) -> bool:
        """True where both find parts alike."""
        ours, theirs = self._settings, other._settings
        same = all(getattr(ours, name) == getattr(theirs, name) for name in _FINDS_PARTS)
        return same and ours.vector == theirs.vector and self._view == other._view

    def take_over(self, before: Parts, *, alike: bool) -> None:
        """The parts of another, which is done. Where these are not found `alike`, those under way begin anew here."""
        self._known = before._known
        for part in self._known if not alike else ():
            if not part.done and before._course.is_real(part):
                part.trouble(CHANGEOVER)
            part.votes, part.rules = self._rules.votes(), self._rules
        if before._course.way.step == self._course.way.step:
            self.belt.restore(before.belt.checkpoint())
            self.belt.forget_sizes()  # what comes may be another product: it would be touching for ever
        else:
            for part in self._known:  # this belt's odometer begins now
                part.travel, part.start = 0.0, self._course.way.along(center(part.box))

    def checkpoint(self) -> dict[str, Any]:
        """Plain data, to be one with others' in one mapping."""
        runs = sorted({part.run for part in self._known} | {self._run})
        return {
            "recipe": self._rules.name,
            "rules": self._rules.fingerprint,
            "finds": self._finds(),
            "run": self._run,
            "runs": runs,
            "belt": self.belt.checkpoint(),
            "parts": [part.checkpoint(runs.index(part.run)) for part in self._known],
            **self._rules_checkpoint(),
        }

    def restore(self, checkpoint: Mapping[str, Any], others: Sequence[Rules]) -> None:
        """Take up where `checkpoint` was made; `others` are rules that parts may go by besides these.

        Those whose rules are not known, or that were found otherwise, cannot pass any more.
        """
        self.belt.restore(checkpoint["belt"])
        known = {(rules.name, rules.fingerprint): rules for rules in (*others, self._rules)}
        older = [known.get((name, fingerprint)) for name, fingerprint in checkpoint.get("older", ())]
        current = known.get((checkpoint.get("recipe", self._rules.name), checkpoint["rules"]))
        finds = self._finds()
        alike = checkpoint.get("finds", finds) == finds
        goes_by = checkpoint.get("goes_by") or [-1] * len(checkpoint["parts"])
        self._known = []
        for data, number in zip(checkpoint["parts"], goes_by, strict=True):
            rules = current if number < 0 else older[number]
            part = Part.restored(data, checkpoint["runs"], rules or self._rules)
            if rules is None and not part.done:
                part.votes = self._rules.votes()
            if not part.done and (rules is None or not alike):
                part.trouble(CHANGEOVER)
            if not (part.done or alike):
                self._note_passed(part)
            self._known.append(part)

    def _rules_checkpoint(self) -> dict[str, Any]:
        """Whose rules each part goes by; nothing where all go by these."""
        theirs = [self._rules if part.done else part.rules for part in self._known]
        older = list(dict.fromkeys(rules for rules in theirs if rules is not self._rules))
        if not older:
            return {}
        names = [[rules.name, rules.fingerprint] for rules in older]
        return {"older": names, "goes_by": [older.index(r) if r is not self._rules else -1 for r in theirs]}

    def _finds(self) -> int:
        """Another number where parts are found otherwise, as by a trigger that was moved."""
        by = [getattr(self._settings, name) for name in _FINDS_PARTS]
        return zlib.crc32(repr((by, self._settings.vector, self._view)).encode())

    def _note_passed(self, part: Part) -> None:
        """Where the trigger was moved to behind the part: it will not come there, and is told all the same."""
        if part.crossed_at is None and self._course.is_past(part):
            part.crossed_at, part.crossed_box = part.seen_at, part.box

    def _part_size(self) -> Extent | None:
        """Size of one part, as far as parts that moved with the belt have told it."""
        moving = [part for part in self._known if not part.done and self._course.is_real(part)]
        return self.belt.part_size(size for part in moving if (size := part.size))

    def _see(self, part: Part, box: PartBox, at: float) -> None:
        before, before_at = part.box, part.seen_at
        self._unlink(box.link)
        part.see(box, at, self.belt.travel, self._course.way)
        if part.done or part.crossed_at is not None:
            return
        share = self._course.trigger.crossing(center(before), center(part.box))
        if share is not None:
            part.crossed_at = before_at + (at - before_at) * share
            part.crossed_box = between(before, part.box, share)

    def _bear(self, box: PartBox, at: float, started_at: float | None) -> Part:
        self._unlink(box.link)
        start = self._course.way.along(center(box.box))
        votes = self._rules.votes()
        place = (box.box, box.clear, at, self.belt.travel, start)
        part = Part(self._run, box.track_id, box.link, *place, votes, self._rules)
        part.measure(box, self._course.way)
        passed = self._course.trigger.passed(center(box.box))
        if passed >= 0:
            self._bear_late(part, passed, at, started_at)
        return part

    def _bear_late(self, part: Part, passed: float, at: float, started_at: float | None) -> None:
        """First seen past the trigger: not ours where it crossed before the run began, or on another lane."""
        cruise = self.belt.cruise
        if cruise is None or started_at is None or not self._course.trigger.spans(center(part.box)):
            part.done = True
            return
        crossed_at = at - passed / cruise
        if crossed_at < started_at + START_SLACK_S:
            part.done = True
            return
        part.crossed_at, part.crossed_box = crossed_at, self._course.way.carried(part.box, -passed)
        part.trouble(FIRST_SEEN_LATE)

    def _unlink(self, link: int) -> None:
        """A track hangs on one part only: the one it was seen on last."""
        for part in self._known if link >= 0 else ():
            if part.link == link:
                part.link = -1

    def _lose(self, part: Part, reason: str, at: float) -> Crossing:
        part.trouble(reason)
        before = -self._course.trigger.passed(center(part.box))
        crossed_at = part.crossed_at
        if crossed_at is None:
            crossed_at = part.seen_at + before / self.belt.cruise if self.belt.cruise else part.seen_at
        self._finish(part)
        return Crossing(part, min(crossed_at, at), part.box)

    def _finish(self, part: Part) -> None:
        """It is judged now, and never again; its size counts for those to come."""
        part.done = True
        self.belt.learn_size(part.size)


def _is_overdue(part: Part, at: float, back_at: float | None) -> bool:
    """True when an unseen part is not waited for any longer. What was seen only now and then flickers: no part."""
    unseen_s = at - (part.seen_at if back_at is None else max(part.seen_at, back_at))  # in which it could be seen
    if part.done:
        return unseen_s >= MEMORY_S
    settings = part.rules.settings
    flickers = part.sightings < settings.min_sightings and part.missed >= part.sightings
    return flickers or unseen_s >= settings.lost_after_s
