"""What a camera can be, and how it may come from one state to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from stages.values import CameraId, Clock


class CameraState(StrEnum):
    """RUNNING means pictures come; nothing else does."""

    CONNECTING = "connecting"  # for the first time, after a pause, or to brokers that answer again
    RUNNING = "running"
    PAUSED = "paused"
    RECONNECTING = "reconnecting"  # lost, refused or silent; waits and tries again
    ENDED = "ended"  # the source is at its end, or we were told to stop
    FAILED = "failed"  # this address can never give a picture; a person must act


_S = CameraState
ALLOWED: Mapping[CameraState, frozenset[CameraState]] = MappingProxyType(
    {
        _S.CONNECTING: frozenset({_S.RUNNING, _S.PAUSED, _S.RECONNECTING, _S.ENDED, _S.FAILED}),
        _S.RUNNING: frozenset({_S.PAUSED, _S.RECONNECTING, _S.ENDED, _S.FAILED}),
        _S.PAUSED: frozenset({_S.CONNECTING, _S.RUNNING, _S.RECONNECTING, _S.ENDED, _S.FAILED}),
        _S.RECONNECTING: frozenset({_S.CONNECTING, _S.RUNNING, _S.PAUSED, _S.ENDED, _S.FAILED}),
        _S.ENDED: frozenset(),
        _S.FAILED: frozenset(),
    }
)
FINAL = frozenset(state for state, after in ALLOWED.items() if not after)


class NotAllowed(RuntimeError):
    """A move the table does not have: an error of ours, not of a camera."""


def check_move(before: CameraState, after: CameraState) -> None:
    """Raises NotAllowed, naming both states, unless the table has the move."""
    if after not in ALLOWED[before]:
        raise NotAllowed(f"a camera cannot go from {before} to {after}")


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """One camera at one moment. Its texts hold no credentials."""

    camera_id: CameraId
    state: CameraState
    since: float  # Unix seconds, UTC
    frames_in: int = 0  # pictures taken from the source, those dropped later included
    fps_in: float = 0.0
    dropped: Mapping[str, int] = field(default_factory=dict)  # reason -> total
    last_error: str | None = None
    last_error_at: float | None = None
    last_frame_at: float | None = None  # when the newest picture came
    clock: Clock | None = None  # of the newest picture
    size_wh: tuple[int, int] | None = None  # of the newest picture, pixels
    epoch: int = 0  # Unix milliseconds of the live run, or of a file's start
    reconnects: int = 0
    hung_threads: int = 0  # given up in the middle of a call that does not return
