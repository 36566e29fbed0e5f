"""Judged parts as they are answered: the message as published, and beside it what came later."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field

from pipeline.history.gallery import Page, PartRow
from pipeline.history.picture_boxes import defects_in_picture, part_in_picture
from pipeline.history.reviews import Review, Said, overrules
from stages.results.models import InspectionMessage, Time

PictureBox = tuple[float, float, float, float]

REVIEW: dict[str, Any] = {
    "id": 41,
    "inspection_id": "cam-1/1794999000000/17",
    "said": "pass",
    "overrules": True,
    "reason": "a drop of water, no dent",
    "labels": [],
    "by": "anna",
    "at": "2026-11-18T11:20:05.000Z",
}
INSPECTION: dict[str, Any] = {
    "inspection": {
        "message_id": "cam-1/1794999000000/17",
        "schema": "rayline.inspection/1.2",
        "kind": "inspection",
        "inspection_id": "cam-1/1794999000000/17",
        "external_id": None,
        "camera": "cam-1",
        "line": "filling",
        "station": "capper",
        "counts": True,
        "source": {"kind": "rtsp", "position": "live|0001794999000000|000000004711"},
        "track_id": 17,
        "verdict": "reject",
        "reasons": ["dent"],
        "defects": [
            {
                "label": "dent",
                "score": 0.9123,
                "box": [30.0, 48.5, 50.0, 60.0],
                "part_box": [6.0, 20.0, 106.3, 320.5],
            }
        ],
        "votes": {"usable": 12, "cap": 12, "label": 12, "dent": 9},
        "box": [10.0, 20.0, 110.3, 320.5],
        "size": {"width": 640, "height": 360},
        "captured_at": "2026-11-18T11:06:40.125Z",
        "clock": "rtcp",
        "decided_at": "2026-11-18T11:06:40.250Z",
        "published_at": "2026-11-18T11:06:40.312Z",
        "model": {"name": "bottles", "version": "3", "sha256": "ab" * 32, "variant": "live", "runtime": "openvino"},
        "recipe": "cola-05",
        "config_hash": "3f9a1c",
        "snapshot": {
            "uri": "file:///var/lib/rayline/snapshots/2026-11-18/cam-1_1794999000000_17-2f1d0c9a8b7e.jpg",
            "sha256": "cd" * 32,
            "part_box": [12.0, 20.0, 112.3, 320.5],
        },
        "snapshot_error": None,
        "latency_ms": 187.5,
    },
    "picture": "/v1/pictures/cam-1/1794999000000/17",
    "part_in_picture": [12.0, 20.0, 112.3, 320.5],
    "defects_in_picture": [{"label": "dent", "score": 0.9123, "box": [36.0, 48.5, 56.0, 60.0]}],
    "review": REVIEW,
}


class ReviewView(BaseModel):
    """What somebody said of a part."""

    model_config = {"json_schema_extra": {"examples": [REVIEW]}}

    id: int
    inspection_id: str
    said: Said = Field(description="What the part truly is.")
    overrules: bool = Field(description="Whether the line's verdict was another one; of `indeterminate` never.")
    reason: str
    labels: list[str] = Field(description="Defects it truly has, where they were named.")
    by: str
    at: Time


class DefectView(BaseModel):
    """A defect in the stored picture."""

    label: str
    score: float
    box: PictureBox | None = Field(description="In the stored picture's pixels. null: the message does not tell.")


class InspectionView(BaseModel):
    """A judged part."""

    model_config = {"json_schema_extra": {"examples": [INSPECTION]}}

    inspection: InspectionMessage = Field(description="As it was published.")
    picture: str | None = Field(description="Where its stored picture is asked for. null: none was stored.")
    part_in_picture: PictureBox | None = Field(description="In the stored picture's pixels. null: nobody knows.")
    defects_in_picture: list[DefectView]
    review: ReviewView | None = Field(description="The newest review, which holds. null: nobody reviewed it.")


class InspectionAnswer(InspectionView):
    """A judged part, and all that was said of it."""

    model_config = {"json_schema_extra": {"examples": [INSPECTION | {"reviews": [REVIEW]}]}}

    reviews: list[ReviewView] = Field(description="The newest first.")


class InspectionPage(BaseModel):
    """Parts, newest first."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "inspections": [INSPECTION],
                    "next": "1794999000125-cam-1/1794999000000/17",
                    "reached": "2026-11-18T11:06:40.125Z",
                }
            ]
        }
    }

    inspections: list[InspectionView]
    next: str | None = Field(description="There may be older ones: give this as `cursor`. null: these are the oldest.")
    reached: Time | None = Field(description="With `next`: so far back all were looked at.")


def page_view(page: Page) -> InspectionPage:
    """A page as it is answered."""
    return InspectionPage(
        inspections=[part_view(part) for part in page.parts],
        next=page.next,
        reached=None if page.reached_ms is None else at(page.reached_ms),
    )


def part_view(part: PartRow) -> InspectionView:
    """One part of a page."""
    return InspectionView(**_fields(part))


def part_answer(part: PartRow) -> InspectionAnswer:
    """One part that was asked for."""
    return InspectionAnswer(**_fields(part), reviews=[review_view(said, part.verdict) for said in part.reviews])


def review_view(said: Review, verdict: str) -> ReviewView:
    """A review of a part with that verdict."""
    return ReviewView(
        id=said.id,
        inspection_id=said.inspection_id,
        said=said.said,
        overrules=overrules(verdict, said.said),
        reason=said.reason,
        labels=list(said.labels),
        by=said.by,
        at=at(said.at_ms),
    )


def at(unix_ms: int) -> datetime:
    """A time of the history."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def _fields(part: PartRow) -> dict[str, Any]:
    found = defects_in_picture(part.message)
    return {
        "inspection": part.message,
        "picture": f"/v1/pictures/{quote(part.id)}" if part.has_snapshot and part.message.snapshot else None,
        "part_in_picture": part_in_picture(part.message),
        "defects_in_picture": [DefectView(label=one.label, score=one.score, box=one.box) for one in found],
        "review": None if part.review is None else review_view(part.review, part.verdict),
    }
