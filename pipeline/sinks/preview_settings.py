"""How pictures for people who watch are made, and how long the two keys of a watched camera live."""

from __future__ import annotations

from pydantic import Field

from stages.settings import Settings

WATCH_TTL_S = 5.0  # a watcher says within that time that it is still there
PREVIEW_TTL_S = 2.0  # an older picture is no live one
LOOK_EVERY_S = 1.0  # a track replica looks so often who is watched


class PreviewSettings(Settings):
    """Live pictures, made of a camera's frames only while somebody watches it."""

    fps: float = Field(
        5.0,
        gt=0,
        le=15,
        description="Pictures a second at most. More shows motion smoother; each takes 10 ms of a core and 100 kB.",
    )
    width: int = Field(
        960,
        ge=160,
        le=3840,
        description="Pixels across at most; smaller pictures stay as they are. More shows finer detail; less "
        "is made, sent and shown sooner.",
    )
    quality: int = Field(
        80, ge=30, le=100, description="JPEG quality. Higher looks cleaner; lower takes fewer bytes on the network."
    )
