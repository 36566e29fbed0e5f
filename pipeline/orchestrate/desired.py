"""What is to run: the config file's cameras, and over them what people changed since (the override wins)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import Field, ValidationError

from pipeline.config import CameraConfig, RaylineConfig, ResolvedCamera
from pipeline.config_errors import ConfigError, Problem, problems_of
from pipeline.orchestrate.base_overrides import BaseOverrides, LineOverride, with_base
from pipeline.plain import plain, shown
from stages.settings import Settings
from stages.values import CameraId

MOST_OVERRIDES = 1000


class OverrideKind(StrEnum):
    """In what a camera differs from the config file."""

    ADDED = "added"
    CHANGED = "changed"
    PAUSED = "paused"
    REMOVED = "removed"


class CameraOverride(Settings):
    """What people changed of one camera while all runs. Camera settings as they would stand in the file."""

    added: dict[str, Any] | None = Field(None, description="All settings of a camera that the file does not name.")
    changed: dict[str, Any] = Field(default_factory=dict, description="Settings that take the place of the file's.")
    removed: bool = Field(False, description="The file's camera is not to run.")
    paused: bool = Field(False, description="The camera is not to be read, and keeps its place.")
    restart: str = Field("", description="Names the last time its source was to be opened anew. Empty: it never was.")
    at: float = Field(0.0, description="When it was last changed, Unix seconds UTC.")
    version: int = Field(0, description="Of the desired state that the last change made.")

    @property
    def is_kept(self) -> bool:
        """False where it says nothing."""
        return self.kind is not None or bool(self.restart)

    @property
    def kind(self) -> OverrideKind | None:
        """The one word that tells most; None where nothing differs."""
        if self.removed:
            return OverrideKind.REMOVED
        if self.paused:
            return OverrideKind.PAUSED
        if self.added is not None:
            return OverrideKind.ADDED
        return OverrideKind.CHANGED if self.changed else None


@dataclass(frozen=True)  # no slots: the cameras are looked up once
class DesiredState:
    """What is to run, at one version. `config` holds the cameras as they are to run, paused ones included."""

    config: RaylineConfig
    file: RaylineConfig  # as `up` read it, without overrides
    version: int
    overrides: Mapping[CameraId, CameraOverride] = field(default_factory=dict)
    problems: Mapping[CameraId, str] = field(default_factory=dict)  # override -> why it is not in force
    run_id: str = ""  # of the `up` that published the file
    base: BaseOverrides = field(default_factory=BaseOverrides)  # what was changed of lines and models
    base_problems: Mapping[str, str] = field(default_factory=dict)  # `line NAME`, `model NAME` -> why not in force
    _shown: dict[CameraId, Mapping[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def cameras(self) -> Mapping[CameraId, ResolvedCamera]:
        """The cameras of `config`, each with everything it names."""
        return self.config.resolved()

    def shown(self, camera_id: CameraId) -> Mapping[str, Any]:
        """The settings of a camera that is to run, for people: secrets are masked, which takes its time once."""
        if camera_id not in self._shown:
            self._shown[camera_id] = shown(self.config.cameras[camera_id])
        return self._shown[camera_id]

    def is_paused(self, camera_id: CameraId) -> bool:
        """True where the camera keeps its place and is not read."""
        override = self.overrides.get(camera_id)
        return override is not None and override.paused and camera_id in self.config.cameras

    def restart_of(self, camera_id: CameraId) -> str:
        """Another text each time the camera's source is to be opened anew."""
        override = self.overrides.get(camera_id)
        return override.restart if override is not None else ""

    def kind(self, camera_id: CameraId) -> OverrideKind | None:
        """In what the camera differs from the file; None: not at all."""
        override = self.overrides.get(camera_id)
        return override.kind if override else None

    def tag(self, camera_id: CameraId) -> str:
        """Changes with what is desired of the camera, and tells nothing of it: settings hold passwords to be guessed.

        Another start of `up` changes it too: its file may say something else.
        """
        override = self.overrides.get(camera_id)
        changed = (0.0, 0) if override is None else (override.at, override.version)
        return hashlib.sha256(repr((self.run_id, camera_id, *changed)).encode()).hexdigest()[:24]

    def line_change(self, camera_id: str) -> LineOverride | None:
        """The last change of the recipe that the camera takes from its line; None where there was none."""
        line = self.config.cameras[camera_id].line
        if line is None or f"line {line}" in self.base_problems or not self.takes_recipe_of_line(camera_id):
            return None
        return self.base.lines.get(line)

    def takes_recipe_of_line(self, camera_id: str) -> bool:
        """True where the camera names no recipe of its own and stands on a line of the file."""
        camera = self.config.cameras[camera_id]
        return camera.recipe is None and camera.line in self.config.lines

    def line_of(self, camera_id: str) -> str | None:
        """The line of a camera that is to run, was removed, or was added and is not in force; None: there is none."""
        camera = self.config.cameras.get(camera_id) or self.file.cameras.get(camera_id)
        if camera is not None:
            return camera.line or camera_id
        override = self.overrides.get(CameraId(camera_id))
        if override is None or override.added is None:
            return None
        line = {**override.added, **override.changed}.get("line")
        return line if isinstance(line, str) else camera_id

    def cameras_on(self, line: str) -> list[CameraId]:
        """The cameras of a line that are to run, paused ones included, in the order of their names."""
        return [camera_id for camera_id, camera in self.cameras.items() if camera.line == line]

    def removed(self) -> tuple[CameraId, ...]:
        """Cameras of the file that are not to run."""
        return tuple(sorted(camera for camera, override in self.overrides.items() if override.removed))


def merge(
    file: RaylineConfig,
    overrides: Mapping[CameraId, CameraOverride],
    version: int = 0,
    unread: Mapping[CameraId, str] | None = None,
    base: BaseOverrides | None = None,
) -> DesiredState:
    """The file's config with the overrides over it, oldest first; those of cameras over those of lines and models.

    An override that no longer fits (its recipe is gone from the file, or its model does not run) is left out and told
    in `problems`; the camera then runs as the file says. Never raises for what an override holds.
    """
    problems = dict(unread or {})
    base = base or BaseOverrides()
    ground, base_problems = with_base(file, base)
    try:
        config = _overridden(ground, ground.cameras, overrides)
    except ConfigError:  # together they do not fit: as many as do, one by one
        config = _one_by_one(ground, overrides, problems)
    return DesiredState(config, file, version, dict(overrides), problems, base=base, base_problems=base_problems)


def require_fit(file: RaylineConfig, overrides: Mapping[CameraId, CameraOverride], camera_id: CameraId) -> None:
    """Raises ConfigError with every reason why a camera's override does not fit to the file and the other overrides."""
    others = {name: override for name, override in overrides.items() if name != camera_id}
    try:
        _overridden(file, merge(file, others).config.cameras, {camera_id: overrides[camera_id]})
    except ConfigError as exc:
        raise ConfigError(exc.problems, f"camera {camera_id}") from None


def camera_of_data(data: Mapping[str, Any], camera_id: str) -> CameraConfig:
    """A camera's settings as they would stand in the file. Raises ConfigError with its path and what would be right."""
    try:
        return CameraConfig.model_validate(dict(data))
    except ValidationError as exc:
        found = problems_of(exc, CameraConfig, data, {})
        raise ConfigError([replace(problem, path=("cameras", camera_id, *problem.path)) for problem in found]) from None


def _one_by_one(
    file: RaylineConfig, overrides: Mapping[CameraId, CameraOverride], problems: dict[CameraId, str]
) -> RaylineConfig:
    config = file
    for camera_id, override in sorted(overrides.items(), key=lambda item: (item[1].at, item[0])):
        try:
            config = _overridden(file, config.cameras, {camera_id: override})
        except ConfigError as exc:
            problems[camera_id] = exc.in_a_line
    return config


def _overridden(
    file: RaylineConfig, cameras: Mapping[str, CameraConfig], overrides: Mapping[CameraId, CameraOverride]
) -> RaylineConfig:
    config = file.with_cameras(_with_overrides(cameras, overrides))
    running = file.models_in_use()  # `up` starts the models of the file's cameras, and none later
    used = {camera_id: camera.model_name for camera_id, camera in config.resolved().items()}
    problems = [_not_running(camera_id, model) for camera_id, model in used.items() if model not in running]
    if problems:
        raise ConfigError(problems)
    return config


def _not_running(camera_id: CameraId, model: str) -> Problem:
    hint = f"put a camera that uses {model!r} into the config file and restart `rayline up`: models start with it"
    return Problem(("cameras", camera_id, "recipe"), f"its model {model!r} is not running", hint)


def _with_overrides(
    cameras: Mapping[str, CameraConfig], overrides: Mapping[CameraId, CameraOverride]
) -> dict[str, CameraConfig]:
    changed = dict(cameras)
    for camera_id, override in overrides.items():
        if override.removed:
            changed.pop(camera_id, None)
            continue
        if override.kind is None:  # opened anew once: it says nothing of how the camera runs, nor that there is one
            continue
        base = override.added if override.added is not None else _of_file(cameras, camera_id)
        changed[camera_id] = camera_of_data({**base, **override.changed}, camera_id)
    return changed


def _of_file(cameras: Mapping[str, CameraConfig], camera_id: CameraId) -> dict[str, Any]:
    if camera_id not in cameras:
        hint = f"`rayline cameras reset {camera_id}` drops what was changed of it"
        raise ConfigError([Problem(("cameras", camera_id), "the config file names this camera no more", hint)])
    data: dict[str, Any] = plain(cameras[camera_id])
    return data
