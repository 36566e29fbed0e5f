"""Signs: each verdict and state has a symbol, a word and a colour, so that no meaning hangs on colour alone."""

from __future__ import annotations

from typing import NamedTuple

from nicegui import ui

from pipeline.dashboard.texts import t


class Sign(NamedTuple):
    """What stands for a verdict or state."""

    symbol: str
    word: str
    css: str  # good | bad | warn | idle | info: classes `sign-...` of assets/rayline.css


_SIGNS: dict[str, tuple[str, str]] = {
    "pass": ("✓", "good"),
    "reject": ("✗", "bad"),
    "indeterminate": ("?", "warn"),
    "running": ("●", "good"),
    "paused": ("‖", "idle"),
    "connecting": ("◌", "info"),
    "reconnecting": ("↻", "bad"),
    "starting": ("◌", "info"),
    "waiting": ("…", "warn"),
    "ended": ("■", "idle"),
    "failed": ("✗", "bad"),
    "unknown": ("?", "warn"),
    "blind": ("⚠", "bad"),
    "stale": ("⚠", "bad"),
    "starved": ("○", "idle"),
    "loading": ("◌", "info"),
    "ok": ("✓", "good"),
    "warning": ("!", "warn"),
    "critical": ("⚠", "bad"),
}

SIGNS: dict[str, Sign] = {name: Sign(symbol, t(f"sign.{name}"), css) for name, (symbol, css) in _SIGNS.items()}


def sign_of(name: str) -> Sign:
    """Of a verdict or state; of one that another version knows, its name with a question mark."""
    return SIGNS.get(name) or Sign("?", name, "warn")


class SignBadge(ui.element):
    """A sign on the page, which can show another."""

    def __init__(self, name: str, *, large: bool = False) -> None:
        super().__init__("span")
        self.classes("sign sign-large" if large else "sign").props("role=status")
        with self:
            self._symbol = ui.element("span").classes("sign-symbol").props("aria-hidden=true")
            with self._symbol:
                self._symbol_text = ui.label().classes("sign-text")
            self._word = ui.label().classes("sign-word")
        self._css = ""
        self.show(name)

    def show(self, name: str, word: str | None = None) -> None:
        """The sign of this state, with words of one's own where they say more."""
        sign = sign_of(name)
        self._symbol_text.set_text(sign.symbol)
        self._word.set_text(word or sign.word)
        if sign.css != self._css:
            self.classes(add=f"sign-{sign.css}", remove=f"sign-{self._css}" if self._css else "")
            self._css = sign.css
