"""Judges parts from the model's boxes over all their pictures, by the simplest rule that can work."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from pipeline.demo.line import TRIGGER_X, BottleLine, Defect, PartTruth, TruthBox
from pipeline.demo.render import CLASS_NAMES
from pipeline.demo.score import iou
from pipeline.demo.watcher import Seen

LOW_FILL_BELOW = 0.70  # surface over bottle height; full is 0.76 to 0.80, low 0.58 to 0.66
SAME_BOTTLE_IOU = 0.5
SEEN_SHARE = 0.5  # of a part's pictures must show a thing for it to be there
DENT_SHARE = 0.3


@dataclass
class Votes:
    """What was seen on one part so far."""

    pictures: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    fills: list[float] = field(default_factory=list)

    def verdict(self) -> frozenset[Defect] | None:
        """The defects, or nothing if it was not seen well enough to say."""
        if self.pictures == 0 or not self.fills:
            return None
        defects = set()
        if self.seen["cap"] < SEEN_SHARE * self.pictures:
            defects.add(Defect.MISSING_CAP)
        if self.seen["label"] + self.seen["crooked_label"] < SEEN_SHARE * self.pictures:
            defects.add(Defect.MISSING_LABEL)
        elif self.seen["crooked_label"] > self.seen["label"]:
            defects.add(Defect.CROOKED_LABEL)
        if self.seen["dent"] >= DENT_SHARE * self.pictures:
            defects.add(Defect.DENT)
        if median(self.fills) < LOW_FILL_BELOW:
            defects.add(Defect.LOW_FILL)
        return frozenset(defects)


@dataclass
class VoteCount:
    """How the verdicts compare with the truth."""

    parts: int = 0
    false_pass: int = 0
    false_reject: int = 0
    wrong_defects: int = 0  # the verdict is right, but for other reasons
    undecided: int = 0

    def add(self, truth: PartTruth, votes: Votes) -> None:
        """One more part."""
        self.parts += 1
        defects = votes.verdict()
        if defects is None:
            self.undecided += 1
        elif bool(defects) != bool(truth.defects):
            self.false_pass += bool(truth.defects)
            self.false_reject += not truth.defects
        elif defects != truth.defects:
            self.wrong_defects += 1

    def include(self, other: "VoteCount") -> None:
        """Add what was counted elsewhere."""
        for name, number in vars(other).items():
            setattr(self, name, getattr(self, name) + number)


class Gate:
    """Collects the votes on one line's parts. Which bottle is which part is told by the truth: an ideal tracker."""

    def __init__(self, line: BottleLine) -> None:
        self._line = line
        self.votes: dict[int, Votes] = {}

    def watch(self, t_s: float, seen: Seen) -> None:
        """The boxes of one picture, already above the working threshold."""
        trigger = TRIGGER_X * self._line.width
        for truth in self._line.boxes_at(t_s):
            whole = truth.label == "bottle" and truth.visible > 0.98
            if whole and (truth.xyxy[0] + truth.xyxy[2]) / 2 <= trigger:
                self._vote(truth, seen)

    def _vote(self, truth: TruthBox, seen: Seen) -> None:
        kinds = [CLASS_NAMES[kind] for kind in seen.kind]
        bottles = [box for box, kind in zip(seen.xyxy, kinds, strict=True) if kind == "bottle"]
        bottle = max(bottles, key=lambda box: iou(box, truth.xyxy), default=None)
        if bottle is None or iou(bottle, truth.xyxy) < SAME_BOTTLE_IOU:
            return
        votes = self.votes.setdefault(truth.part, Votes())
        votes.pictures += 1
        best: dict[str, tuple[float, float]] = {}  # class name to score and middle height
        for box, score, kind in zip(seen.xyxy, seen.score, kinds, strict=True):
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            on_it = bottle[0] < x < bottle[2] and bottle[1] < y < bottle[3]
            if on_it and kind != "bottle" and score > best.get(kind, (0.0, 0.0))[0]:
                best[kind] = (float(score), float(y))
        if "label" in best and "crooked_label" in best:  # one label is one or the other
            del best[min("label", "crooked_label", key=lambda kind: best[kind][0])]
        votes.seen.update(best.keys())
        if "level" in best:
            votes.fills.append(float((bottle[3] - best["level"][1]) / (bottle[3] - bottle[1])))
