"""The desired state in Redis: one hash, changed by compare-and-set, read by the supervisor and every command."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from redis.exceptions import WatchError

from pipeline.config import CameraConfig, RaylineConfig, config_data, config_of_data
from pipeline.config_errors import ConfigError, Problem
from pipeline.names import camera_id as checked_camera_id
from pipeline.names import choices, did_you_mean
from pipeline.orchestrate.audit import UNNAMED, AuditEntry, AuditLog, Author, Change, differences
from pipeline.orchestrate.base_changes import with_files_recipe, with_recipe, with_thresholds
from pipeline.orchestrate.base_overrides import BaseOverrides, LineOverride, ModelOverride, with_base
from pipeline.orchestrate.desired import MOST_OVERRIDES, CameraOverride, DesiredState, merge, require_fit
from pipeline.orchestrate.desired_errors import DesiredConflict, DesiredError, NothingDesired
from pipeline.plain import plain
from stages.settings import Settings
from stages.values import CameraId

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

__all__ = ["DesiredCache", "DesiredConflict", "DesiredError", "DesiredStore", "NothingDesired", "at_version"]

TRIES = 20
_CONFIG, _VERSION, _RUN, _CAMERA, _LINE, _MODEL = "config", "version", "run", "camera:", "line:", "model:"
_CONFIG_FIELD = _CONFIG.encode()  # as Redis gives it

_Override = TypeVar("_Override", bound=Settings)

Edit = Callable[[DesiredState, CameraOverride | None], CameraOverride | None]
Expect = Callable[[DesiredState], None]


class DesiredCache:
    """What was stored when it was last read, and what it meant; may be shared by stores of one Redis."""

    def __init__(self) -> None:
        self.read: tuple[Mapping[Any, Any], DesiredState] | None = None


class DesiredStore:
    """Reads and changes the desired state. The client is the caller's to open and close.

    Camera addresses are kept as given, passwords included: whoever may read this Redis may read them.
    """

    def __init__(
        self,
        redis: Redis,
        prefix: str = "rayline",
        clock: Callable[[], float] = time.time,
        cache: DesiredCache | None = None,
    ) -> None:
        self._redis = redis
        self._key = f"{prefix}:desired"
        self._audit = AuditLog(redis, prefix)
        self._clock = clock
        self._cache = cache or DesiredCache()

    async def publish(self, config: RaylineConfig, by: Author = UNNAMED) -> int:
        """Make `config` the file that overrides lie over; they stay, and a new run begins. Returns the new version."""
        fields = {_CONFIG: json.dumps(config_data(config)), _RUN: uuid.uuid4().hex}
        async with self._redis.pipeline(transaction=True) as pipe:
            for _ in range(TRIES):
                await pipe.watch(self._key)
                version = int(await pipe.hget(self._key, _VERSION) or 0) + 1
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                pipe.hset(self._key, mapping=fields | {_VERSION: str(version)})  # type: ignore[arg-type]
                self._note(pipe, config, by, "config.publish", version=version)
                with suppress(WatchError):
                    await pipe.execute()
                    return version
        raise DesiredConflict(f"{TRIES} tries to publish the configuration met other changes: try again")

    async def restore(self, state: DesiredState, by: Author = UNNAMED) -> None:
        """Put back what a Redis that lost its data held, overrides and run included; what is there by now stays."""
        fields = {_CONFIG: json.dumps(config_data(state.file)), _VERSION: str(state.version), _RUN: state.run_id}
        fields |= {_CAMERA + name: json.dumps(plain(override)) for name, override in state.overrides.items()}
        fields |= {_LINE + name: json.dumps(plain(override)) for name, override in state.base.lines.items()}
        fields |= {_MODEL + name: json.dumps(plain(override)) for name, override in state.base.models.items()}
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(self._key)
            if await pipe.hexists(self._key, _CONFIG):
                return
            pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            pipe.hset(self._key, mapping=fields)  # type: ignore[arg-type]  # text is bytes enough
            self._note(pipe, state.file, by, "config.restore", version=state.version)
            with suppress(WatchError):  # a new `up` was faster
                await pipe.execute()

    async def version(self) -> int:
        """Rises with every change; 0 where nothing was ever desired. Cheap: ask it before `load`."""
        return int(await self._redis.hget(self._key, _VERSION) or 0)

    async def read(self, file: RaylineConfig | None = None) -> DesiredState:
        """What is to run now: the overrides over `file`, by default over the config that was published.

        The very same state as long as nothing changes: hundreds of cameras are not looked up anew at every look.

        Raises NothingDesired where there is neither, ConfigError where the stored config is of another version.
        """
        stored = await self._redis.hgetall(self._key)
        if file is not None:
            return _state_of(stored, file)
        return self._meant(stored)

    async def add(
        self, camera: str, settings: Mapping[str, Any], expect: Expect | None = None, by: Author = UNNAMED
    ) -> DesiredState:
        """A new camera. Raises ConfigError where its settings do not fit, DesiredError where the name is taken.

        This and every other change answers with what is desired from then on. `expect` looks at what is desired before
        it, in the change's own transaction, and raises DesiredConflict, or what it likes, where that is not as it must
        be; `by` goes into the audit log.
        """
        try:
            name = checked_camera_id(camera)
        except ValueError as exc:
            raise DesiredError(str(exc)) from None

        def edit(state: DesiredState, _: CameraOverride | None) -> CameraOverride:
            if name in state.config.cameras:
                raise DesiredError(f"camera {name!r} is there already: choose another name, or remove it first")
            return CameraOverride(added=dict(settings))

        return await self._change("camera.add", name, edit, expect, by)

    async def set(
        self,
        camera: str,
        changes: Mapping[str, Any],
        expect: Expect | None = None,
        by: Author = UNNAMED,
        dropped: Collection[str] = (),
    ) -> DesiredState:
        """Other settings for a camera that is there. Raises ConfigError where they do not fit.

        Of `dropped` settings nothing is kept: the file's hold again, or those that hold where none is given.
        """

        def edit(state: DesiredState, old: CameraOverride | None) -> CameraOverride:
            _known(state, camera)
            before = old or CameraOverride()
            kept = {"changed": _without({**before.changed, **changes}, dropped)}
            if before.added is not None:
                kept["added"] = _without(before.added, dropped)
            return before.model_copy(update=kept)

        return await self._change("camera.set", camera, edit, expect, by)

    async def remove(self, camera: str, expect: Expect | None = None, by: Author = UNNAMED) -> DesiredState:
        """Take a camera away. One that was added is forgotten, one of the file stays away until `reset`."""

        def edit(state: DesiredState, old: CameraOverride | None) -> CameraOverride | None:
            _known(state, camera)
            return CameraOverride(removed=True) if camera in state.file.cameras else None

        return await self._change("camera.remove", camera, edit, expect, by)

    async def pause(self, camera: str, expect: Expect | None = None, by: Author = UNNAMED) -> DesiredState:
        """Stop reading a camera; its place is kept."""
        return await self._change("camera.pause", camera, _set_paused(camera, True), expect, by)

    async def resume(self, camera: str, expect: Expect | None = None, by: Author = UNNAMED) -> DesiredState:
        """Read a paused camera again."""
        return await self._change("camera.resume", camera, _set_paused(camera, False), expect, by)

    async def restart(self, camera: str, expect: Expect | None = None, by: Author = UNNAMED) -> DesiredState:
        """Let go of a camera's source and open it anew. Raises DesiredError where it is paused, or comes in a topic."""

        def edit(state: DesiredState, old: CameraOverride | None) -> CameraOverride:
            settings = _known(state, camera)
            if settings.topic is not None:
                raise DesiredError(
                    f"camera {camera!r} comes in Kafka topic {settings.topic!r}: it has no source to open"
                )
            if state.is_paused(CameraId(camera)):
                raise DesiredError(f"camera {camera!r} is paused: resume it, which opens its source")
            return (old or CameraOverride()).model_copy(update={"restart": uuid.uuid4().hex[:16]})

        return await self._change("camera.restart", camera, edit, expect, by)

    async def reset(self, camera: str, expect: Expect | None = None, by: Author = UNNAMED) -> DesiredState:
        """Drop what was changed: the camera runs as the file says, or not at all if the file does not name it."""

        def edit(state: DesiredState, old: CameraOverride | None) -> CameraOverride | None:
            if old is None or old.kind is None:
                if camera not in state.config.cameras:
                    _known(state, camera)
                raise DesiredError(f"camera {camera!r} runs as the config file says; there is nothing to reset")
            kept = old.restart if camera in state.file.cameras else ""  # forgotten, it would be opened anew once more
            return CameraOverride(restart=kept) if kept else None

        return await self._change("camera.reset", camera, edit, expect, by)

    async def set_recipe(
        self, line: str, recipe: str, expect: Expect | None = None, by: Author = UNNAMED
    ) -> DesiredState:
        """Change the line over to a recipe of the same model; nothing is changed where that is desired already.

        It is for the cameras that take their recipe from the line. Raises ConfigError where the recipe does not fit,
        DesiredError where there is no such line.
        """

        def edit(state: DesiredState) -> _Edited | None:
            override = with_recipe(state, line, recipe)
            return None if override is None else _line_edited("line.recipe", state, line, override, self._clock())

        return await self._transact(f"line {line!r}", edit, expect, by)

    async def reset_recipe(self, line: str, expect: Expect | None = None, by: Author = UNNAMED) -> DesiredState:
        """Change the line back to the file's recipe. Raises DesiredError where it runs by that."""

        def edit(state: DesiredState) -> _Edited:
            return _line_edited("line.reset", state, line, with_files_recipe(state, line), self._clock())

        return await self._transact(f"line {line!r}", edit, expect, by)

    async def set_thresholds(
        self, model: str, changes: Mapping[str, Any], expect: Expect | None = None, by: Author = UNNAMED
    ) -> DesiredState:
        """Other thresholds for a model, for all its cameras; null takes back the file's. Raises ConfigError."""

        def edit(state: DesiredState) -> _Edited | None:
            return _model_edited(state, model, with_thresholds(state, model, changes), self._clock())

        return await self._transact(f"model {model!r}", edit, expect, by)

    async def _change(self, action: str, camera: str, edit: Edit, expect: Expect | None, by: Author) -> DesiredState:
        name = CameraId(camera)

        def edited(before: DesiredState) -> _Edited:
            after = self._edited(before, name, edit)
            line = after.line_of(camera) or before.line_of(camera) or ""
            noted = {"target": camera, "line": line, "changes": _camera_changes(before, after, name)}
            return _Edited(after, _CAMERA + camera, after.overrides.get(name), action, noted)

        return await self._transact(f"camera {camera!r}", edited, expect, by)

    async def _transact(
        self, what: str, edit: Callable[[DesiredState], _Edited | None], expect: Expect | None, by: Author
    ) -> DesiredState:
        """Read, edit, check that the outcome can run, and write if nothing else was written since.

        Where `edit` answers None nothing is to be written.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            for _ in range(TRIES):
                await pipe.watch(self._key)
                before = self._meant(await pipe.hgetall(self._key))
                if expect is not None:
                    expect(before)
                edited = edit(before)
                if edited is None:
                    return before
                after = edited.state
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                if edited.override is None:
                    pipe.hdel(self._key, edited.field)
                else:
                    pipe.hset(self._key, edited.field, json.dumps(plain(edited.override)))
                pipe.hset(self._key, _VERSION, str(after.version))
                self._note(pipe, after.file, by, edited.action, version=after.version, **edited.noted)
                with suppress(WatchError):
                    await pipe.execute()
                    return after
        raise DesiredConflict(f"{TRIES} tries to change {what} met other changes: try again")

    def _meant(self, stored: Mapping[Any, Any]) -> DesiredState:
        """What is stored, looked up anew only where it is not what it was; the file only where that is another."""
        known = self._cache.read
        if known is not None and known[0] == stored:
            return known[1]
        config = stored.get(_CONFIG_FIELD)
        same_file = (
            known[1].file
            if known is not None and config is not None and known[0].get(_CONFIG_FIELD) == config
            else None
        )
        state = _state_of(stored, same_file)
        self._cache.read = (stored, state)
        return state

    def _note(self, pipe: Pipeline, file: RaylineConfig, by: Author, action: str, **what: Any) -> None:
        """Into the audit log, with the change that is queued in `pipe` or not at all."""
        self._audit.add(pipe, AuditEntry.of(by, action, at=self._clock(), **what), file.observe.audit_entries)

    def _edited(self, state: DesiredState, camera: CameraId, edit: Edit) -> DesiredState:
        """What is desired with the edit. Raises ConfigError where the camera could not run so."""
        version = state.version + 1
        new = edit(state, state.overrides.get(camera))
        overrides = {name: override for name, override in state.overrides.items() if name != camera}
        if new is not None and new.is_kept:
            overrides[camera] = new.model_copy(update={"at": self._clock(), "version": version})
        if sum(override.kind is not None for override in overrides.values()) > MOST_OVERRIDES:
            raise DesiredError(f"{MOST_OVERRIDES} cameras differ from the config file: write them into it")
        unread = {name: why for name, why in _unread(state).items() if name != camera}
        after = merge(state.file, overrides, version, unread, state.base)
        if camera in after.problems:
            require_fit(with_base(state.file, state.base)[0], overrides, camera)
            raise ConfigError([Problem((), after.problems[camera])], f"camera {camera}")
        return replace(after, run_id=state.run_id)


@dataclass(frozen=True, slots=True)
class _Edited:
    """What a change makes of the desired state: the field that is written, and what the audit log tells of it."""

    state: DesiredState
    field: str
    override: Settings | None  # None: the field goes
    action: str
    noted: Mapping[str, Any]


def at_version(version: int) -> Expect:
    """Expects that nothing was changed since this version."""

    def look(state: DesiredState) -> None:
        if state.version != version:
            raise DesiredConflict(f"version {version} was expected, it is {state.version} by now")

    return look


def _without(settings: Mapping[str, Any], dropped: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in dropped}


def _set_paused(camera: str, paused: bool) -> Edit:
    def edit(state: DesiredState, old: CameraOverride | None) -> CameraOverride:
        _known(state, camera)
        return (old or CameraOverride()).model_copy(update={"paused": paused})

    return edit


def _line_edited(action: str, before: DesiredState, line: str, override: LineOverride, at: float) -> _Edited:
    version = before.version + 1
    override = override.model_copy(update={"at": at, "version": version})
    lines = {**before.base.lines, line: override}
    unread = {name: why for name, why in before.base.unread.items() if name != f"line {line}"}
    after = _on_base(before, replace(before.base, lines=lines, unread=unread), version)
    recipes = Change(old=before.config.lines[line].recipe, new=after.config.lines[line].recipe)
    changes = {"recipe": recipes, "change_id": Change(new=override.change_id)}
    return _Edited(after, _LINE + line, override, action, {"target": line, "line": line, "changes": changes})


def _model_edited(before: DesiredState, model: str, override: ModelOverride | None, at: float) -> _Edited | None:
    version = before.version + 1
    models = {name: one for name, one in before.base.models.items() if name != model}
    unread = {name: why for name, why in before.base.unread.items() if name != f"model {model}"}
    if override is not None:
        override = models[model] = override.model_copy(update={"at": at, "version": version})
    after = _on_base(before, replace(before.base, models=models, unread=unread), version)
    changes = differences(before.config.models[model], after.config.models[model])
    if not changes and (override is None) == (model not in before.base.models):
        return None
    return _Edited(after, _MODEL + model, override, "model.set", {"target": model, "changes": changes})


def _on_base(before: DesiredState, base: BaseOverrides, version: int) -> DesiredState:
    if len(base) > MOST_OVERRIDES:
        raise DesiredError(f"{MOST_OVERRIDES} lines and models differ from the config file: write them into it")
    after = merge(before.file, before.overrides, version, _unread(before), base)
    if broken := sorted(after.problems.keys() - before.problems.keys()):
        raise ConfigError([Problem((), after.problems[broken[0]])], f"camera {broken[0]}")
    return replace(after, run_id=before.run_id)


def _unread(state: DesiredState) -> dict[CameraId, str]:
    """Cameras whose override could not be read: they stay so, whatever else is changed."""
    return {name: why for name, why in state.problems.items() if name not in state.overrides}


def _camera_changes(before: DesiredState, after: DesiredState, camera: CameraId) -> dict[str, Change]:
    changes = differences(before.config.cameras.get(camera), after.config.cameras.get(camera))
    if before.is_paused(camera) != after.is_paused(camera):
        changes["paused"] = Change(old=before.is_paused(camera), new=after.is_paused(camera))
    return changes


def _known(state: DesiredState, camera: str) -> CameraConfig:
    """The camera, or DesiredError with the nearest name."""
    if camera in state.config.cameras:
        return state.config.cameras[camera]
    if camera in state.removed():
        raise DesiredError(f"camera {camera!r} was removed: `rayline cameras reset {camera}` brings it back")
    near = did_you_mean(camera, state.config.cameras)
    hint = f"did you mean {near!r}?" if near else f"there are: {choices(state.config.cameras)}"
    raise DesiredError(f"there is no camera {camera!r}; {hint}")


def _state_of(stored: Mapping[Any, Any], file: RaylineConfig | None = None) -> DesiredState:
    fields = {key.decode(): value for key, value in stored.items()}
    if file is None:
        file = _stored_file(fields)
    cameras, unread = _read(fields, _CAMERA, CameraOverride)
    lines, lines_unread = _read(fields, _LINE, LineOverride)
    models, models_unread = _read(fields, _MODEL, ModelOverride)
    strange = {f"line {name}": why for name, why in lines_unread.items()}
    strange |= {f"model {name}": why for name, why in models_unread.items()}
    overrides = {CameraId(name): override for name, override in cameras.items()}
    of_cameras = {CameraId(name): why for name, why in unread.items()}
    base = BaseOverrides(lines, models, strange)
    state = merge(file, overrides, int(fields.get(_VERSION, 0)), of_cameras, base)
    return replace(state, run_id=fields.get(_RUN, b"").decode())


def _read(
    fields: Mapping[str, bytes], prefix: str, kind: type[_Override]
) -> tuple[dict[str, _Override], dict[str, str]]:
    """The overrides of one kind by name, and why those that cannot be read cannot."""
    found: dict[str, _Override] = {}
    unread: dict[str, str] = {}
    for key, value in fields.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            try:
                found[name] = kind.model_validate_json(value)
            except ValidationError as exc:
                unread[name] = f"the stored override cannot be read ({exc.error_count()} problems)"
    return found, unread


def _stored_file(fields: Mapping[str, bytes]) -> RaylineConfig:
    if _CONFIG not in fields:
        raise NothingDesired("no configuration here yet: start one with `rayline up`, or name another Redis (--redis)")
    return config_of_data(json.loads(fields[_CONFIG]), "the stored configuration")
