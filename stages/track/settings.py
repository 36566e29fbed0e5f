"""What a tracker is set by; light to import, for the configuration reads it too."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from stages.settings import Settings


class TrackerKind(StrEnum):
    """Which association rule joins the sightings."""

    BYTETRACK = "bytetrack"
    BOTSORT = "botsort"
    OCSORT = "ocsort"


class TrackSettings(Settings):
    """How sightings are joined into tracks."""

    kind: TrackerKind = Field(
        TrackerKind.BYTETRACK,
        description="bytetrack: box motion in two score stages, the cheapest. botsort: the same with width and height "
        "filtered apart, for objects that change shape. ocsort: leans on the last sightings rather than the filter, "
        "for erratic motion; its checkpoint is three times as large.",
    )
    classes: tuple[str, ...] | None = Field(
        None,
        description="Class names that get an identity; null tracks all. Fewer is faster and keeps a part's features "
        "(cap, label) from taking identities; detections of other classes pass through with track_id -1.",
    )
    high_score: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Score (0..1) from which a detection takes part in the first, generous matching. Lower bridges "
        "weak detections; too low lets clutter pull tracks away.",
    )
    low_score: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Score (0..1) from which a detection may still prolong a track that is there (second matching). "
        "Lower bridges blur and occlusion; too low follows shadows. Of use only where the detector reports that low.",
    )
    new_track_score: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Score (0..1) a detection needs to start a track. Higher gives fewer false tracks; too high "
        "starts tracks late or not at all.",
    )
    min_output_score: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Score (0..1) from which a detection of a tracked class without an identity is still given out "
        "(track_id -1). Lower shows more of what the model saw; higher hides clutter. Tracked boxes always come out.",
    )
    min_iou: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Least overlap (intersection over union, 0..1) of a track's predicted box and a detection to be "
        "the same object. Lower holds on through jerks and dropped frames; too low hands identities to neighbours.",
    )
    first_match_margin: float = Field(
        0.5,
        ge=0,
        le=2,
        description="How far, in box sizes on each side, a track seen only once may reach for its second sighting: "
        "its speed is not known yet. Larger follows faster belts at low frame rates; too large joins neighbours.",
    )
    max_lost_frames: int = Field(
        30,
        ge=1,
        le=9000,
        description="Frames of the source (dropped ones counted) a track survives unseen. More bridges longer "
        "occlusion; too many hand an old identity to a newcomer.",
    )
    fuse_score: bool = Field(
        False,
        description="Multiply overlap by detection score when matching. On favours confident detections in crowds; "
        "off keeps tracks whose score dips while they overlap well.",
    )
    common_motion: bool = Field(
        True,
        description="Start a new track with the speed the tracks before it agreed on (a belt). On tells touching "
        "parts of a fast belt apart from their second sighting; off suits scenes where everything moves its own way.",
    )
    start_velocity_px: tuple[float, float] = Field(
        (0.0, 0.0),
        description="Speed x y, pixels per source frame, a new track is given before any track has shown one. Right "
        "for the belt, it settles the very first parts of a touching, fast train; wrong, it costs them a frame or two.",
    )

    @model_validator(mode="after")
    def _scores_are_ordered(self) -> TrackSettings:
        if not self.low_score <= self.high_score <= self.new_track_score:
            raise ValueError(
                f"low_score {self.low_score} <= high_score {self.high_score} <= new_track_score "
                f"{self.new_track_score} does not hold"
            )
        return self
