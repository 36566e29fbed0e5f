"""Every text that people read on the page, by key, in one place."""

from __future__ import annotations

from collections.abc import Mapping

SHELL: Mapping[str, str] = {
    "app.name": "Rayline",
    "nav.label": "Pages",
    "nav.lines": "Lines",
    "nav.cameras": "Cameras",
    "nav.inspections": "Inspections",
    "nav.system": "System",
    "nav.alarms": "Alarms",
    "skip": "Skip to the page",
    "theme.to_dark": "Dark",
    "theme.to_light": "Light",
    "logout": "Log out",
    "you": "{name} ({role})",
    "shortcuts.title": "Keys",
    "shortcuts.open": "Keys (?)",
    "shortcuts.close": "Close",
    "shortcuts.go": "g {key}: go to {page}",
    "shortcuts.help": "?: show these keys",
    "shortcuts.theme": "t: dark or light",
    "login.title": "Log in",
    "login.label": "API key or token",
    "login.help": "A key is made by: rayline token make NAME --role viewer",
    "login.button": "Log in",
    "login.refused": "That is not a key or token that holds: {why}",
    "login.stale": "The form had grown old. Please try again.",
    "login.away": "The keys cannot be looked up just now: Redis does not answer. Please try again.",
    "login.elsewhere": "This was sent by another page, so nothing was done.",
    "refused.title": "Not for this role",
    "refused.role": "This page needs the role {needed}; {name} is {role}.",
    "missing.title": "Nothing here",
    "missing.page": "There is no page at this address.",
    "missing.line": "There is no line {line!r}, or it is not one of yours.",
    "full.title": "Too many pages",
    "full.text": "Too many pages are open at once. Close one and load this again.",
    "not_now.title": "Not just now",
    "not_now.history": "The history does not answer. Please try again.",
    "fault.title": "Something went wrong",
    "fault.text": "A fault of Rayline's; its log tells more under {request_id}.",
    "back": "Back to the lines",
    "state.loading": "Loading ...",
    "state.empty": "Nothing to show yet.",
    "state.redis_away": "Redis does not answer. What you see is the last there was; it goes on by itself.",
    "state.history_away": "The history does not answer. What you see is the last there was; it goes on by itself.",
    "state.no_history": "No history is kept: the config file has no history section.",
    "state.nothing_runs": "Nothing is running: rayline up has not published anything yet.",
    "state.refused": "It was not done: {why}",
    "state.forbidden": "This needs the role {needed}.",
    "state.failed": "This part of the page failed; Rayline's log tells why. It is tried again.",
    "sign.pass": "Pass",
    "sign.reject": "Reject",
    "sign.indeterminate": "Indeterminate",
    "sign.running": "Running",
    "sign.paused": "Paused",
    "sign.connecting": "Connecting",
    "sign.reconnecting": "Reconnecting",
    "sign.starting": "Starting",
    "sign.waiting": "Waiting",
    "sign.ended": "Ended",
    "sign.failed": "Failed",
    "sign.unknown": "Unknown",
    "sign.blind": "Blind",
    "sign.stale": "No picture",
    "sign.starved": "No parts",
    "sign.loading": "Model loading",
    "sign.ok": "OK",
    "sign.warning": "Warning",
    "sign.critical": "Critical",
    "range.label": "Range",
    "range.shift": "Shift",
    "range.day": "Day",
    "range.hour": "Hour",
    "range.last_hour": "Last 60 min",
    "range.custom": "From ... to",
    "range.since": "From",
    "range.until": "To",
    "range.apply": "Show",
    "range.zone": "Times are {zone}",
    "range.wrong": "Give both times, the first before the second.",
    "line.label": "Line",
    "line.all": "All lines",
    "lines.title": "Lines",
    "lines.empty": "There are no lines yet: the config file names them.",
    "cameras.title": "Cameras",
    "inspections.title": "Inspections",
    "system.title": "System",
    "alarms.title": "Alarms",
    "alarms.badge": "{count} alarms that nobody has acknowledged",
    "time.days": "{count} d",
    "time.hours": "{count} h",
    "time.minutes": "{count} min",
    "time.seconds": "{count} s",
}

TEXTS: dict[str, str] = dict(SHELL)


def add_texts(texts: Mapping[str, str]) -> None:
    """A page's own, named `PAGE.WHAT`. Raises ValueError where another text has one of the keys."""
    if twice := sorted(key for key, text in texts.items() if TEXTS.get(key, text) != text):
        raise ValueError(f"two texts are called {twice[0]!r}")
    TEXTS.update(texts)


def t(key: str, /, **values: object) -> str:
    """The text of this key with its values put in. Raises KeyError for one that nobody wrote."""
    return TEXTS[key].format(**values) if values else TEXTS[key]
