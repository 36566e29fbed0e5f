"""Why one image gives no detections: a value, for the others of its request are answered."""

from __future__ import annotations

from stages.errors import RaylineError


class ImageFailed(RaylineError):
    """One image that gives no detections; the text is a sentence for its sender. `status`: were it the only one."""

    def __init__(self, reason: str, status: int = 422) -> None:
        super().__init__(reason)
        self.status = status
