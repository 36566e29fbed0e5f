"""The desired state in Redis: one hash, changed by compare-and-set, read by the supervisor and every command."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from redis.exceptions import WatchError

from pipeline.config import CameraConfig, RaylineConfig, config_data, config_of_data
from pipeline.config_errors import ConfigError, Problem
from pipeline.names import camera_id as checked_camera_id
from pipeline.names import choices, did_you_mean
from pipeline.orchestrate.audit import UNNAMED, AuditEntry, AuditLog, Author, Change, differences
from pipeline.orchestrate.desired import MOST_OVERRIDES, CameraOverride, DesiredState, merge
from pipeline.plain import plain
from stages.errors import RaylineError
from stages.values import CameraId

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

TRIES = 20
_CONFIG, _VERSION, _RUN, _CAMERA = "config", "version", "run", "camera:"

Edit = Callable[[DesiredState, CameraOverride | None], CameraOverride | None]
Expect = Callable[[DesiredState], None]


class DesiredError(RaylineError):
    """The desired state cannot be read or changed so; the text says what to do."""


class NothingDesired(DesiredError):
    """No `rayline up` has put a configuration into this Redis."""


class DesiredConflict(DesiredError):
    """Somebody else changed it in between; look again before changing it."""


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
        known = self._cache.read
        if known is None or known[0] != stored:
            known = self._cache.read = (stored, _state_of(stored))
        return known[1]

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
        self, camera: str, changes: Mapping[str, Any], expect: Expect | None = None, by: Author = UNNAMED
    ) -> DesiredState:
        """Other settings for a camera that is there. Raises ConfigError where they do not fit."""

        def edit(state: DesiredState, old: CameraOverride | None) -> CameraOverride:
            _known(state, camera)
            before = old or CameraOverride()
            return before.model_copy(update={"changed": {**before.changed, **changes}})

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

    async def reset(self, camera: str, expect: Expect | None = None, by: Author = UNNAMED) -> DesiredState:
        """Drop what was changed: the camera runs as the file says, or not at all if the file does not name it."""

        def edit(state: DesiredState, old: CameraOverride | None) -> None:
            if old is None:
                if camera not in state.config.cameras:
                    _known(state, camera)
                raise DesiredError(f"camera {camera!r} runs as the config file says; there is nothing to reset")

        return await self._change("camera.reset", camera, edit, expect, by)

    async def _change(self, action: str, camera: str, edit: Edit, expect: Expect | None, by: Author) -> DesiredState:
        """Read, edit, check that the outcome can run, and write if nothing else was written since."""
        name = CameraId(camera)
        async with self._redis.pipeline(transaction=True) as pipe:
            for _ in range(TRIES):
                await pipe.watch(self._key)
                before = _state_of(await pipe.hgetall(self._key))
                if expect is not None:
                    expect(before)
                after = self._edited(before, name, edit)
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                if name not in after.overrides:
                    pipe.hdel(self._key, _CAMERA + camera)
                else:
                    pipe.hset(self._key, _CAMERA + camera, json.dumps(plain(after.overrides[name])))
                pipe.hset(self._key, _VERSION, str(after.version))
                line = after.line_of(camera) or before.line_of(camera) or ""
                changes = _camera_changes(before, after, name)
                self._note(
                    pipe, after.file, by, action, target=camera, line=line, changes=changes, version=after.version
                )
                with suppress(WatchError):
                    await pipe.execute()
                    return after
        raise DesiredConflict(f"{TRIES} tries to change camera {camera!r} met other changes: try again")

    def _note(self, pipe: Pipeline, file: RaylineConfig, by: Author, action: str, **what: Any) -> None:
        """Into the audit log, with the change that is queued in `pipe` or not at all."""
        self._audit.add(pipe, AuditEntry.of(by, action, at=self._clock(), **what), file.observe.audit_entries)

    def _edited(self, state: DesiredState, camera: CameraId, edit: Edit) -> DesiredState:
        """What is desired with the edit. Raises ConfigError where the camera could not run so."""
        version = state.version + 1
        new = edit(state, state.overrides.get(camera))
        overrides = {name: override for name, override in state.overrides.items() if name != camera}
        if new is not None and new.kind is not None:
            overrides[camera] = new.model_copy(update={"at": self._clock(), "version": version})
        if len(overrides) > MOST_OVERRIDES:
            raise DesiredError(f"{MOST_OVERRIDES} cameras differ from the config file: write them into it")
        unread = {name: why for name, why in state.problems.items() if name not in {*state.overrides, camera}}
        after = merge(state.file, overrides, version, unread)
        if camera in after.problems:
            raise ConfigError([Problem((), after.problems[camera])], f"camera {camera}")
        return replace(after, run_id=state.run_id)


def at_version(version: int) -> Expect:
    """Expects that nothing was changed since this version."""

    def look(state: DesiredState) -> None:
        if state.version != version:
            raise DesiredConflict(f"version {version} was expected, it is {state.version} by now")

    return look


def _set_paused(camera: str, paused: bool) -> Edit:
    def edit(state: DesiredState, old: CameraOverride | None) -> CameraOverride:
        _known(state, camera)
        return (old or CameraOverride()).model_copy(update={"paused": paused})

    return edit


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
    overrides: dict[CameraId, CameraOverride] = {}
    unread: dict[CameraId, str] = {}
    for key, value in fields.items():
        if key.startswith(_CAMERA):
            camera = CameraId(key.removeprefix(_CAMERA))
            try:
                overrides[camera] = CameraOverride.model_validate_json(value)
            except ValidationError as exc:
                unread[camera] = f"the stored override cannot be read ({exc.error_count()} problems)"
    state = merge(file, overrides, int(fields.get(_VERSION, 0)), unread)
    return replace(state, run_id=fields.get(_RUN, b"").decode())


def _stored_file(fields: Mapping[str, bytes]) -> RaylineConfig:
    if _CONFIG not in fields:
        raise NothingDesired("no configuration here yet: start one with `rayline up`, or name another Redis (--redis)")
    return config_of_data(json.loads(fields[_CONFIG]), "the stored configuration")
