"""The page's settings: where it listens, and whom it lets in for how long."""

from __future__ import annotations

from pydantic import Field

from pipeline.control.access.listening import Listening


class DashboardSettings(Listening):
    """The page in the browser. People log in with a key or token of the API, made by `rayline token`."""

    port: int = Field(8080, ge=1, le=65535, description="Port it listens on.")
    session_hours: float = Field(
        12.0,
        gt=0,
        le=8760,
        description="So long a login lasts, and never longer than its key or token. Longer asks less often, which a "
        "screen on the wall may want; shorter closes sooner what somebody left open.",
    )
    max_sessions: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Logins held at once; one more ends the one that was longest not used. An open page is use.",
    )
    max_pages: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Open pages of all people together; others are told to close one. Each takes a few MB and some of "
        "a core.",
    )

    @property
    def told(self) -> str:
        """Where it is and who is let in, for people who start it."""
        whom = "open to everybody on this machine" if self.open_to_loopback else "log in with a key of `rayline token`"
        return f"Page: {self.url} ({whom})"
