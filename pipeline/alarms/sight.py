"""What every camera that is to run sees, by what is desired and what is reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.alarms.camera_blind import Sight
from pipeline.ingest.camera_state import CameraState
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.state import CameraReport, SystemReport, by_name
from stages.values import HealthState


class Place(NamedTuple):
    """A camera and its line."""

    line: str
    camera: str


Sights = Mapping[Place, Sight]


def sights(desired: DesiredState, report: SystemReport | None) -> Sights:
    """By camera. One that is desired and not reported sees nothing; where `report` is None none does."""
    reported = by_name(report)
    found: dict[Place, Sight] = {}
    for name, camera in desired.cameras.items():
        place = Place(camera.line, name)
        if desired.is_paused(name):
            found[place] = Sight(None, "it is paused")
        elif report is None:
            found[place] = Sight(False, "nothing reports it, Rayline does not run")
        elif (its := reported.get(name)) is None:
            found[place] = Sight(False, "its reader does not report")
        else:
            found[place] = _sight(its)
    return found


def _sight(camera: CameraReport) -> Sight:
    if camera.state == CameraState.ENDED.value:
        return Sight(None, "its pictures have ended")
    if camera.state != CameraState.RUNNING.value:
        return Sight(False, f"{camera.state}: {camera.last_error}" if camera.last_error else camera.state)
    if camera.health != HealthState.OK.value:
        return Sight(False, f"the picture is {camera.health}")
    return Sight(True)
