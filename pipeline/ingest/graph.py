"""What the ingest actor asks of the graph, and how the graph may fail.

GraphError
  +-- GraphUnavailable   a replica or node went away: the same batch may be sent again
  +-- BatchRefused       a stage raised on this batch: sending it again will hardly help
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pipeline.answers import BatchAnswer, Gap
from stages.errors import RaylineError
from stages.values import CameraId, Detected, FrameBatch


class GraphError(RaylineError):
    """Base of what a call into the graph raises."""


class GraphUnavailable(GraphError):
    """A replica, node or the network went away under the call."""


class BatchRefused(GraphError):
    """A stage raised on this batch."""


class Graph(Protocol):
    """The stages as the ingest actor sees them. A batch is at most one call under way per stage."""

    async def detect(self, batch: FrameBatch) -> Detected:
        """Preprocess and detect; batches may overlap here. Raises GraphError."""

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        """Track, inspect and publish; the caller keeps a shard's batches in order. `detected` is None for a batch
        without frames. `excused`, by camera: frames that nobody waits for any more. Raises GraphError.
        """

    def forget(self, batch: FrameBatch) -> None:
        """The batch is done; let go of what was kept for sending it again."""

    def failed(self, batch: FrameBatch, reason: str) -> Detected:
        """The answer for a batch that was given up: every frame failed, for `reason`."""
