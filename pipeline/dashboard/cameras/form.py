"""The form for a new camera: a test shot shows what it sees before it is saved."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from pipeline.config_errors import ConfigError, Problem
from pipeline.dashboard.cameras.changes import MAY
from pipeline.dashboard.cameras.shot import NoShot, Shot, TooManyShots, take_shot
from pipeline.dashboard.states import words_of
from pipeline.dashboard.texts import t
from pipeline.ingest.address import KAFKA, SecretUrl
from pipeline.orchestrate.desired_errors import DesiredError

if TYPE_CHECKING:
    from pipeline.dashboard.cameras.changes import Changes
    from pipeline.dashboard.frame import Page
    from pipeline.orchestrate.desired import DesiredState

_OWN = ""  # no line of the file; no recipe of its own


class NewCameraForm(ui.dialog):
    """Opened for one camera, and gone with it: the password is kept nowhere."""

    def __init__(
        self, page: Page, changes: Changes, desired: DesiredState, done: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__()
        self._page, self._changes, self._done = page, changes, done
        self._tested: dict[str, Any] | None = None  # the settings that a shot was taken of
        lines = {_OWN: t("cameras.form.own_line")} | {
            n: n for n in page.principal.visible(sorted(desired.config.lines))
        }
        recipes = {_OWN: t("cameras.form.lines_recipe")} | {name: name for name in sorted(desired.config.recipes)}
        with self, ui.card().classes("cam-form"):
            with ui.element("h2"):
                ui.label(t("cameras.form.title"))
            with ui.element("div").classes("cam-form-fields"):
                self._name = _input("name").props(f'hint="{t("cameras.form.name_help")}" autofocus')
                self._url = _input("url").props(f'hint="{t("cameras.form.url_help")}"')
                self._user = _input("user")
                self._password = _Password()
                first_line = next((name for name in lines if name), _OWN)
                self._line = ui.select(lines, value=first_line, label=t("cameras.form.line")).props("outlined dense")
                self._station = _input("station")
                self._recipe = ui.select(recipes, value=_OWN, label=t("cameras.form.recipe")).props("outlined dense")
                self._fps = ui.number(t("cameras.form.fps"), min=0, max=1000).props("outlined dense")
                self._fps.props(f'hint="{t("cameras.form.fps_help")}"')
            self._told = ui.label().classes("cam-told").props("role=status")
            self._picture = ui.element("div")
            self._anyway = ui.checkbox(t("cameras.form.anyway"))
            with ui.element("div").classes("cam-actions"):
                does = page.does
                self._test = ui.button(t("cameras.form.test"), on_click=does(MAY["add"], self._take_shot))
                self._test.props("outline no-caps data-action=test")
                self._save = ui.button(t("cameras.form.save"), on_click=does(MAY["add"], self._save_it))
                self._save.props("no-caps data-action=save")
                ui.button(t("cameras.cancel"), on_click=self.close).props("outline no-caps")
        self.on("hide", self.delete)

    def _given(self) -> dict[str, Any]:
        """As the API takes a new camera. Raises ConfigError."""
        url = str(self._url.value or "").strip()
        given = {
            "name": str(self._name.value or "").strip(),
            "url": _with_login(url, str(self._user.value or ""), self._password.value),
            "line": self._line.value,
            "station": str(self._station.value or "").strip(),
            "recipe": self._recipe.value,
            "fps": self._fps.value,
        }
        return {name: value for name, value in given.items() if value not in (None, "")}

    async def _take_shot(self) -> None:
        self._picture.clear()
        self._tested = None
        try:
            given = self._given()
            camera = self._changes.admitted(given).camera
        except (ConfigError, DesiredError) as exc:
            self._tell(_in_words(exc), is_bad=True)
            return
        if camera.url.scheme == KAFKA:
            self._tell(t("cameras.form.no_shot_of_topic"), is_bad=True)
            return
        self._tell(t("cameras.form.testing"))
        self._test.disable()
        try:
            shot = await take_shot(camera)
        except TooManyShots:
            self._tell(t("cameras.form.busy"), is_bad=True)
        except NoShot as exc:
            self._tell(str(exc), is_bad=True)
        else:
            self._tested = given
            self._show(shot, str(given["name"]))
        finally:
            self._test.enable()

    async def _save_it(self) -> None:
        try:
            given = self._given()
            if given != self._tested and not self._anyway.value:
                self._tell(t("cameras.form.needs_test"), is_bad=True)
                return
            await self._changes.add(given)
        except (ConfigError, DesiredError) as exc:
            self._tell(_in_words(exc), is_bad=True)
            return
        self.close()
        ui.notify(t("cameras.form.saved", camera=given["name"]), type="positive")
        await self._done()

    def _show(self, shot: Shot, name: str) -> None:
        fps = t("cameras.form.fps_unseen") if shot.fps is None else t("cameras.form.fps_seen", fps=shot.fps)
        codec = shot.codec or t("cameras.form.codec_unknown")
        self._tell(t("cameras.form.tested", width=shot.width, height=shot.height, fps=fps, codec=codec))
        source = f"data:image/jpeg;base64,{base64.b64encode(shot.jpeg).decode()}"
        with self._picture:
            image = ui.element("img").classes("cam-shot").props(f'alt="{t("cameras.form.shot_of")}"')
            image.props["src"] = source

    def _tell(self, text: str, *, is_bad: bool = False) -> None:
        self._told.set_text(text)
        self._told.classes(add="is-bad" if is_bad else None, remove=None if is_bad else "is-bad")


class _Password(ui.element):
    """Write-only: what is typed comes here and goes nowhere back, where the kit's input would keep it in the page."""

    def __init__(self) -> None:
        super().__init__("label")
        self.value = ""
        self.classes("cam-password")
        with self:
            ui.label(t("cameras.form.password")).classes("cam-figure-name")
            box = ui.element("input").props("type=password autocomplete=new-password data-field=password")
            ui.label(t("cameras.form.password_help")).classes("cam-figure-name")
        box.on("input", self._typed, js_handler="(event) => emit(event.target.value)")

    def _typed(self, event: events.GenericEventArguments) -> None:
        self.value = str(event.args or "")


def _input(name: str) -> ui.input:
    return ui.input(t(f"cameras.form.{name}")).props(f"outlined dense autocomplete=off data-field={name}")


def _with_login(url: str, user: str, password: str) -> str:
    """The address with the login in it, as it is kept. Raises ConfigError."""
    if not (user or password) or not url:
        return url
    address = SecretUrl(url)
    if not address.is_network:
        raise ConfigError([Problem((), t("cameras.form.login_where"))], "form")
    if address.login() is not None:
        raise ConfigError([Problem((), t("cameras.form.login_twice"))], "form")
    return address.reveal(user, password)


def _in_words(exc: ConfigError | DesiredError) -> str:
    if isinstance(exc, ConfigError):
        return exc.in_a_line
    return words_of(exc)
