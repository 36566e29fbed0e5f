"""Roles, and who is asking: a principal with a role and the lines it holds for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """What somebody may do; each may all that the ones before it may."""

    VIEWER = "viewer"  # look
    OPERATOR = "operator"  # run the line: pause, resume, change over, detect
    ENGINEER = "engineer"  # change what runs: cameras, thresholds
    ADMIN = "admin"  # see who changed what

    def covers(self, needed: Role) -> bool:
        """True where this role may what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


EVERY_LINE = "*"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was recognised."""

    name: str  # as the audit log tells it: a token's subject, a key's name
    role: Role
    lines: frozenset[str] = frozenset({EVERY_LINE})
    kind: Literal["token", "key", "loopback"] = "token"

    @property
    def limited_to(self) -> frozenset[str] | None:
        """Their lines; None: every one."""
        return None if EVERY_LINE in self.lines else self.lines

    def may_see(self, line: str) -> bool:
        """True where the line is one of theirs."""
        return EVERY_LINE in self.lines or line in self.lines

    def visible(self, lines: Collection[str]) -> list[str]:
        """Those of `lines` that are theirs, in order."""
        return [line for line in lines if self.may_see(line)]
