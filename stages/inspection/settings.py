"""What a station asks of a part, and how sure it must be before it says so."""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import chain
from typing import Self

from pydantic import Field, model_validator

from stages.settings import Settings

Point = tuple[float, float]

RESERVED = "usable"  # the one key of an inspection's votes that is no rule


class Direction(StrEnum):
    """Which way the belt runs across the picture."""

    LEFT_TO_RIGHT = "left_to_right"
    RIGHT_TO_LEFT = "right_to_left"
    TOP_TO_BOTTOM = "top_to_bottom"
    BOTTOM_TO_TOP = "bottom_to_top"


VECTORS: dict[Direction, Point] = {
    Direction.LEFT_TO_RIGHT: (1.0, 0.0),
    Direction.RIGHT_TO_LEFT: (-1.0, 0.0),
    Direction.TOP_TO_BOTTOM: (0.0, 1.0),
    Direction.BOTTOM_TO_TOP: (0.0, -1.0),
}


class Band(Settings):
    """Where a feature's middle has to be, as a height above the part's lower edge; the median of the votes decides."""

    min: float = Field(
        ge=-0.5,
        le=1.5,
        description="Lowest good height, fraction of the part's height. Higher rejects more parts as `below`.",
    )
    max: float = Field(
        ge=-0.5,
        le=1.5,
        description="Highest good height, fraction of the part's height. Lower rejects more parts as `above`.",
    )
    below: str | None = Field(
        None, description="Defect named when the feature is too low; without it such a part is indeterminate."
    )
    above: str | None = Field(
        None, description="Defect named when the feature is too high; without it such a part is indeterminate."
    )
    margin: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="Half width of the strip around each limit in which nobody can tell, fraction of the part's "
        "height. Wider makes more parts indeterminate; narrower trusts the model's boxes more.",
    )
    agree_share: float = Field(
        0.7,
        ge=0.5,
        le=1,
        description="Share of the votes that must lie on the median's side of the limits. Higher makes parts with "
        "scattered votes indeterminate; lower lets a few stray boxes pass.",
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.min + 2 * self.margin >= self.max:
            raise ValueError(
                f"center_y: min {self.min} and max {self.max} leave nothing between their margins of {self.margin}; "
                "move them apart or lower margin"
            )
        return self


class FeatureRule(Settings):
    """Something a good part has: it passes only where this was seen."""

    label: str = Field(description="Class of the model; also the name of the rule in votes and reasons.")
    any_of: tuple[str, ...] = Field(
        (), description="Further classes that prove the feature is there, such as crooked_label for label."
    )
    min_frames: int = Field(
        4,
        ge=1,
        le=1000,
        description="Usable frames the feature must be seen in before a part may pass (k). More asks for more evidence "
        "and makes fast parts indeterminate; fewer trusts single frames.",
    )
    present_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of usable frames the feature must be seen in to count as there. Higher makes more parts "
        "indeterminate when the model misses; lower trusts fewer sightings.",
    )
    absent_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of usable frames up to which the feature counts as missing and the part is rejected; "
        "between this and present_share the part is indeterminate. Higher rejects more, lower is indeterminate more.",
    )
    missing: str | None = Field(None, description="Defect named when the feature is missing; by default missing_LABEL.")
    center_y: Band | None = Field(
        None, description="Where on the part the feature has to be; nowhere special if unset."
    )

    @property
    def missing_name(self) -> str:
        """The defect a part without this feature has."""
        return self.missing or f"missing_{self.label}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Every class that proves the feature."""
        return (self.label, *self.any_of)

    @property
    def defect_names(self) -> tuple[str, ...]:
        """Every defect this rule can find."""
        band = self.center_y
        named = (band.below, band.above) if band else ()
        return (self.missing_name, *(name for name in named if name))

    @model_validator(mode="after")
    def _shares_in_order(self) -> Self:
        if self.absent_share >= self.present_share:
            raise ValueError(
                f"absent_share {self.absent_share} must be below present_share {self.present_share}: "
                f"else '{self.label}' would be missing and there at once"
            )
        return self


class DefectRule(Settings):
    """Something a good part has not."""

    label: str = Field(description="Class of the model.")
    name: str | None = Field(None, description="Name of the defect in verdicts; by default the label.")
    min_frames: int = Field(
        3,
        ge=1,
        le=1000,
        description="Usable frames the defect must be seen in to reject. More forgives the model's slips (the part is "
        "then indeterminate, never passed); fewer rejects sooner.",
    )
    min_share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of usable frames the defect must be seen in to reject. Higher makes more parts "
        "indeterminate, lower rejects more.",
    )
    ignore_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Noise floor: share of usable frames up to which a sighting is taken for the model's slip. Higher "
        "passes parts with a seldom seen defect; 0 leaves only ignore_frames.",
    )
    ignore_frames: int = Field(
        1,
        ge=0,
        le=100,
        description="Noise floor in frames, however few there are. 0 makes one sighting enough to withhold a pass.",
    )

    @property
    def defect(self) -> str:
        """The defect's name; also the rule's in votes and reasons."""
        return self.name or self.label

    @model_validator(mode="after")
    def _floor_below_certainty(self) -> Self:
        if self.ignore_share >= self.min_share:
            raise ValueError(
                f"ignore_share {self.ignore_share} must be below min_share {self.min_share}: "
                f"else a certain '{self.defect}' could be ignored"
            )
        if self.ignore_frames >= self.min_frames:
            raise ValueError(
                f"ignore_frames {self.ignore_frames} must be below min_frames {self.min_frames}: "
                f"else a certain '{self.defect}' could be ignored"
            )
        return self


class InspectionSettings(Settings):
    """One station's rule. Positions and lengths are fractions of the picture, so they survive a new resolution."""

    part_label: str = Field(description="Class of the model that is the part itself.")
    trigger: tuple[Point, Point] = Field(
        description="Line on which a part is judged, from one end to the other: x and y as fractions of the picture. "
        "Nearer the belt's far end sees each part longer; it must leave room for a part to be seen whole behind it."
    )
    direction: Direction | Point = Field(
        Direction.LEFT_TO_RIGHT,
        description="Way of the belt: left_to_right, right_to_left, top_to_bottom, bottom_to_top, or a step (x, y) in "
        "fractions of the picture.",
    )
    required: tuple[FeatureRule, ...] = Field((), max_length=16, description="What a good part must show.")
    defects: tuple[DefectRule, ...] = Field((), max_length=16, description="What a good part must not show.")
    min_votes: int = Field(
        5,
        ge=1,
        le=1000,
        description="Usable frames below which a part is indeterminate. More asks for a slower belt or more frames a "
        "second; fewer trusts less evidence.",
    )
    max_gap_ms: float = Field(
        1000,
        gt=0,
        le=60_000,
        description="Longest time a part may go unseen and still be judged. Longer bridges stalls and hidden parts; "
        "too long lets one part be taken for another. Keep it below the time between parts.",
    )
    lost_after_s: float = Field(
        2.0,
        gt=0,
        le=600,
        description="Time after which a part that vanished before the trigger is called lost, indeterminate. Longer "
        "waits for it to come back; shorter tells sooner. At least max_gap_ms.",
    )
    blind_after_s: float = Field(
        1.0,
        ge=0,
        le=600,
        description="Time the camera must be unable to see before an uninspected interval is told. Shorter tells more "
        "and briefer intervals. The parts of the time are indeterminate whatever this says.",
    )
    dedupe_distance: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="How far from where the belt must have brought a part a box may be and still be that part, in part "
        "lengths. More forgives uneven belts; beyond 0.5 touching parts may be mixed up.",
    )
    part_length: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Length of one part along the belt, fraction of the picture; learned from clear parts if unset. A "
        "box longer than 1.5 of it is taken for several parts.",
    )
    wide_factor: float = Field(
        1.5,
        gt=1,
        le=3,
        description="Length of a box, in parts, from which it is several touching parts. Lower calls long parts "
        "touching; higher takes a pair for one part.",
    )
    touching_frames: int = Field(
        3,
        ge=1,
        le=1000,
        description="Frames a part must be seen run together with another to be called touching. More forgives a box "
        "that slips for a moment (such frames never vote); fewer is indeterminate sooner.",
    )
    touching_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of a part's frames in which it must be run together with another to be called touching. "
        "Higher judges pairs that part on the way; lower is indeterminate sooner.",
    )
    min_sightings: int = Field(
        3,
        ge=1,
        le=100,
        description="Frames something must be seen in before it is taken for a part. More ignores longer flickers; too "
        "many miss fast parts.",
    )
    edge_margin: float = Field(
        0.005,
        ge=0,
        le=0.2,
        description="How near its edge a box counts as cut by the picture, fraction of it; such boxes do not vote. "
        "More throws away good frames, less lets half a part vote.",
    )
    feature_margin: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="How far outside its part's box a feature's middle may lie, fraction of the part. More reaches "
        "things that stick out; less keeps neighbours apart.",
    )

    @property
    def vector(self) -> Point:
        """The belt's way as a step of length 1 in fractions of the picture."""
        x, y = VECTORS[self.direction] if isinstance(self.direction, Direction) else self.direction
        length = math.hypot(x, y)
        return x / length, y / length

    @property
    def rule_names(self) -> tuple[str, ...]:
        """Names of the rules, features first: the order votes are kept in."""
        return (*(rule.label for rule in self.required), *(rule.defect for rule in self.defects))

    @model_validator(mode="after")
    def _trigger_can_be_crossed(self) -> Self:
        (ax, ay), (bx, by) = self.trigger
        if not all(0 <= value <= 1 for value in chain.from_iterable(self.trigger)):
            raise ValueError(f"trigger: {self.trigger} leaves the picture; its ends are fractions of it, 0 to 1")
        if math.hypot(bx - ax, by - ay) < 0.01:
            raise ValueError(f"trigger: {self.trigger} has no length; give it two ends")
        if not isinstance(self.direction, Direction) and math.hypot(*self.direction) < 1e-6:
            raise ValueError("direction: (0, 0) leads nowhere; give a step such as (1, 0)")
        dx, dy = self.vector
        if abs((bx - ax) * dy - (by - ay) * dx) < 0.1 * math.hypot(bx - ax, by - ay):
            raise ValueError("trigger: it runs along direction, so no part would cross it; turn one of the two")
        return self

    @model_validator(mode="after")
    def _votes_can_be_reached(self) -> Self:
        for i, rule in enumerate(self.required):
            if rule.min_frames > self.min_votes:
                raise ValueError(
                    f"required[{i}].min_frames {rule.min_frames} is more than min_votes {self.min_votes}: "
                    "raise min_votes or lower min_frames"
                )
        if self.lost_after_s * 1000 < self.max_gap_ms:
            raise ValueError(
                f"lost_after_s {self.lost_after_s} is shorter than max_gap_ms {self.max_gap_ms}: a part would be lost "
                "while it may still be judged"
            )
        return self

    @model_validator(mode="after")
    def _rules_can_be_told_apart(self) -> Self:
        if not self.required:
            raise ValueError("required: name at least one feature; without positive evidence nothing may pass")
        names = self.rule_names
        for name in names:
            if names.count(name) > 1 or name == RESERVED:
                raise ValueError(f"required/defects: the name '{name}' is taken; give each rule its own")
        owners: dict[str, str] = {self.part_label: "part_label"}
        for i, feature in enumerate(self.required):
            for label in feature.labels:
                if label in owners:
                    raise ValueError(f"required[{i}]: '{label}' is already used by {owners[label]}")
                owners[label] = f"required[{i}]"
        for i, defect in enumerate(self.defects):
            if defect.label == self.part_label:
                raise ValueError(f"defects[{i}].label: '{defect.label}' is the part itself")
        return self


def sightings_before_trigger(belt_speed_px_s: float, fps: float, travel_px: float) -> int:
    """Frames a part is seen in on its way, at least, if none is dropped. Speeds and rates must be above 0."""
    if belt_speed_px_s <= 0 or fps <= 0:
        raise ValueError(f"belt speed {belt_speed_px_s} px/s and {fps} frames/s must both be above 0")
    return max(0, math.floor(travel_px * fps / belt_speed_px_s + 1e-9))


def travel_to_trigger(
    settings: InspectionSettings,
    size_wh: tuple[int, int],
    part_length_px: float,
    view: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
) -> float:
    """Pixels a part's middle moves from where it is seen whole to the middle of the trigger; 0 if never seen whole.

    `view` is what the model sees, x1 y1 x2 y2 in fractions of the picture.
    """
    (ax, ay), (bx, by) = settings.trigger
    middle = ((ax + bx) / 2, (ay + by) / 2)
    step = settings.vector
    backwards = [
        (at - low if s > 0 else high - at) / abs(s)
        for at, s, low, high in zip(middle, step, view[:2], view[2:], strict=True)
        if abs(s) > 1e-9
    ]  # in steps, until the view's edge
    step_px = math.hypot(step[0] * size_wh[0], step[1] * size_wh[1])
    return max(0.0, min(backwards) * step_px - part_length_px / 2)
