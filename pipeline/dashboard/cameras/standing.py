"""How a camera does, in one sign and one sentence: what a tile shows first."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.control.cameras.answers import CameraView
from pipeline.dashboard.texts import t

REPORT_OLD_S = 4.0  # the supervisor reports once a second; two lost reports are no reason to cry
LONGEST_GAP_S = 3.0  # between two pictures of a live camera, where it is to give more than one in that time
_WHY = {"paused", "ended", "connecting", "starting"}


@dataclass(frozen=True, slots=True)
class Standing:
    """`sign` names one of pipeline.dashboard.signs; `why` is empty where the sign says all."""

    sign: str
    why: str = ""

    @property
    def is_well(self) -> bool:
        """It gives pictures that can be judged."""
        return self.sign == "running"


@dataclass(frozen=True, slots=True)
class ReportTimes:
    """When the report that a view was made of was written, and how long ago it came, by our clock."""

    written_at: float | None  # Unix seconds by the supervisor's clock; None: there is none
    age_s: float


def standing_of(view: CameraView, report: ReportTimes, is_live: bool) -> Standing:
    """Of a camera that is to run. `is_live`: pictures come from it all the time."""
    if view.paused:
        return Standing("paused", t("cameras.why.paused"))
    if report.written_at is None:
        return Standing("unknown", t("cameras.why.nobody"))
    if report.age_s > REPORT_OLD_S:
        return Standing("unknown", t("cameras.why.old", seconds=report.age_s))
    if view.state == "running":
        return _running(view, report.written_at, is_live)
    if view.state in ("reconnecting", "failed"):
        return Standing(view.state, view.last_error or "")
    return Standing(view.state, t(f"cameras.why.{view.state}") if view.state in _WHY else "")


def _running(view: CameraView, written_at: float, is_live: bool) -> Standing:
    # Both times are of the machines that run: the browser's and this one's clock do not come in.
    silent_s = 0.0 if view.last_frame_at is None else written_at - view.last_frame_at
    if is_live and silent_s > longest_gap_s(view):
        return Standing("stale", t("cameras.why.no_picture", seconds=silent_s))
    if view.health not in (None, "ok"):
        return Standing("blind", t("cameras.why.blind", health=view.health))
    return Standing("running")


def longest_gap_s(view: CameraView) -> float:
    """Without a picture for longer, a live camera counts as silent."""
    fps = view.settings.get("fps")
    return max(LONGEST_GAP_S, 3.0 / fps) if isinstance(fps, int | float) and fps > 0 else LONGEST_GAP_S


WORST_FIRST = ("reject", "indeterminate", "pass")


def new_verdict(before: dict[str, int] | None, now: dict[str, int]) -> str | None:
    """The worst verdict that was given since; None where there was none, or nobody knows what was before."""
    if before is None:
        return None
    return next((verdict for verdict in WORST_FIRST if now.get(verdict, 0) > before.get(verdict, 0)), None)
