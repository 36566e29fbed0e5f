"""The lines' style sheet, and their pages as they hang on a wall."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.gate import ASSETS
from pipeline.dashboard.texts import t

_STYLE = f'<link rel="stylesheet" href="{ASSETS}line.css">'
_WALL = "<style>html { font-size: clamp(18px, 1.25vw, 48px); } .head, .skip { display: none; }</style>"
_GO = """(event) => {
  event.preventDefault();
  const asked = new URLSearchParams(location.search);
  asked.set("wall", "1");
  location.search = asked;
}"""


def put_up_style(is_wall: bool) -> None:
    """In the page's head, so that it is there with the first thing that is seen. On a wall nobody navigates."""
    ui.add_head_html(_STYLE)
    if is_wall:
        ui.add_head_html(_WALL)


def wall_link() -> None:
    """To the same page as it hangs on a wall, with the range that is chosen."""
    with ui.element("a").props('href="?wall=1"').classes("head-button wall-link").on("click", js_handler=_GO):
        ui.label(t("line.wall"))
