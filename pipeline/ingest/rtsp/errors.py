"""What the direct reader cannot do and FFmpeg perhaps can."""

from __future__ import annotations

from pipeline.ingest.source import SourceInvalid, SourceLost


class SourceUnsupported(SourceInvalid):
    """A codec or a way of packing this reader does not know: it never will."""


class SourceDoubtful(SourceLost):
    """No picture came, and it may be this reader's fault: a server that hangs up on it, or stays silent."""
