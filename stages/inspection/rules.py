"""One recipe's say in what a part is called."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from stages.inspection.boxes import Look
from stages.inspection.part import Votes
from stages.inspection.settings import InspectionSettings
from stages.inspection.trigger import Box


class Rules:
    """Which marks count on a part, and how much of them. A part keeps the ones it was first seen under.

    `name` says whose they are: the recipe's.
    """

    def __init__(self, settings: InspectionSettings, class_names: Sequence[str], view: Box, name: str = "") -> None:
        """Raises ValueError where the model knows no class of a name that the rules give."""
        self.settings = settings
        self.name = name
        self.look = Look(settings, class_names, view)
        self.banded = tuple(i for i, rule in enumerate(settings.required) if rule.center_y)
        judged_by = repr((settings.part_label, settings.required, settings.defects))
        self.fingerprint = zlib.crc32(judged_by.encode())

    def votes(self) -> Votes:
        """Of a part that nobody has seen yet."""
        return Votes.none(len(self.settings.rule_names))
