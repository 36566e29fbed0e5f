"""Pages that need no socket: the login, and what says why there is nothing else. Plain HTML, escaped here."""

from __future__ import annotations

from html import escape

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

from pipeline.dashboard.cookies import is_dark
from pipeline.dashboard.texts import t

_PAGE = """<!doctype html>
<html lang="en" class="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - {app}</title>
<link rel="icon" href="/assets/favicon.svg">
<link rel="stylesheet" href="/assets/rayline.css">
{head}</head>
<body class="plain {theme}">
<main class="plain-box">
<p class="plain-name">{app}</p>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_LOGIN = """{told}<form method="post" action="/login">
<input type="hidden" name="form" value="{form}">
<input type="hidden" name="next" value="{next}">
<label for="credential">{label}</label>
<input id="credential" name="credential" type="password" autocomplete="current-password" required autofocus
 spellcheck="false" maxlength="8192">
<p class="plain-help">{help}</p>
<button type="submit">{button}</button>
</form>
"""


def message_page(connection: HTTPConnection, status: int, title: str, text: str) -> HTMLResponse:
    """Says why there is nothing else, and leads back."""
    body = f'<p>{escape(text)}</p>\n<p><a href="/lines">{escape(t("back"))}</a></p>'
    return HTMLResponse(_page(connection, title, body), status)


def login_page(
    connection: HTTPConnection, form: str, following: str, told: str = "", status: int = 200
) -> HTMLResponse:
    """Asks for a key or token; `told` says what was wrong with the last one."""
    body = _LOGIN.format(
        told=f'<p class="plain-told" role="alert">⚠ {escape(told)}</p>\n' if told else "",
        form=escape(form),
        next=escape(following),
        label=escape(t("login.label")),
        help=escape(t("login.help")),
        button=escape(t("login.button")),
    )
    head = '<script src="/assets/login.js" defer></script>\n'
    return HTMLResponse(_page(connection, t("login.title"), body, head), status)


def _page(connection: HTTPConnection, title: str, body: str, head: str = "") -> str:
    theme = {True: "body--dark", False: "body--light", None: "body--auto"}[is_dark(connection)]
    return _PAGE.format(theme=theme, title=escape(title), app=escape(t("app.name")), head=head, body=body)
