"""What a page looks at, as its address says and its reader chooses."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from pipeline.dashboard.pickers import asked
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import RangeError, parse_range
from pipeline.history.spc import ChartKind


@dataclass(slots=True)
class LookedAt:
    """Changes as the reader chooses. `line` is empty where it is all of them."""

    line: str
    range_text: str
    kind: ChartKind
    is_wall: bool  # nobody clicks: no navigation, figures to be read from afar

    @classmethod
    def of(cls, request: Request, plant: PlantSettings, now_ms: int, line: str = "") -> LookedAt:
        """What the address says; what it says that cannot be meant, as if it said nothing."""
        kind = asked(request, "chart", ChartKind.LANEY_P.value)
        return cls(
            line=line,
            range_text=_range(asked(request, "range", ""), plant, now_ms),
            kind=ChartKind(kind) if kind in set(ChartKind) else ChartKind.LANEY_P,
            is_wall=asked(request, "wall", "") == "1",
        )


def _range(text: str, plant: PlantSettings, now_ms: int) -> str:
    usual = "shift" if plant.shifts else "day"
    try:
        parse_range(text or usual, plant, now_ms)
    except RangeError:
        return usual
    return text or usual
