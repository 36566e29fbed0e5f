"""What the supervisor says about the running system, and where everyone else reads it: Redis, no Ray needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from pipeline.relays.relay import RelayStatus

TTL_S = 10  # a report that nobody renews is gone: a dead supervisor is seen as such, not as good news

R = TypeVar("R", bound="Report")


class Report(BaseModel):
    """A record another version may have written: fields it knows and we do not are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CameraReport(Report):
    """How one camera does. Times are Unix seconds UTC; rates per second over the last few seconds."""

    camera: str
    line: str
    station: str
    state: str  # connecting, running, paused, reconnecting, ended, failed
    since: float  # when it entered that state
    url: str = ""  # masked
    shard: str = ""
    model: str = ""
    recipe: str = ""  # in force
    recipe_desired: str | None = None  # where another one waits to be in force
    recipe_refused: str | None = None  # why that one cannot be
    change_id: str = ""  # of the change of recipe that is in force
    health: str = "ok"
    size: tuple[int, int] | None = None  # width, height of the last picture, pixels
    clock: str | None = None  # that dated it: rtcp, arrival, media, message
    fps_in: float = 0.0
    fps_out: float = 0.0
    frames_in: int = 0
    frames_out: int = 0
    dropped: Mapping[str, int] = Field(default_factory=dict)  # reason -> frames since the camera was added
    waiting: int = 0  # frames on disk, to be published when Redis takes them
    latency_ms_p50: float | None = None  # capture to publish
    latency_ms_p95: float | None = None
    last_frame_at: float | None = None  # when the newest picture came from the camera
    reconnects: int = 0
    last_error: str | None = None  # masked
    last_error_at: float | None = None
    parts: Mapping[str, int] = Field(default_factory=dict)  # verdict -> parts
    override: str | None = None  # added | changed | paused: what differs from the config file
    updated_at: float = 0.0


class ShardReport(Report):
    """How one shard's reader does."""

    shard: str
    state: str  # starting, running, resting (before it is started again), moving (to another machine)
    cameras: tuple[str, ...] = ()
    node: str = ""  # Ray's id of the machine
    pid: int | None = None
    restarts: int = 0
    last_error: str | None = None
    model: str = ""  # that its cameras' frames go through
    batches_per_s: float = 0.0  # over the last few seconds
    batch_frames: float | None = None  # frames of a batch, mean over the same; None where there was none
    batch_most: int = 0  # frames a batch may have
    in_flight: int = 0  # batches inside the graph
    in_flight_most: int = 0  # that may be
    updated_at: float = 0.0


class StageReport(Report):
    """How many replicas a stage of the graph has."""

    stage: str  # preprocess, detect-MODEL, track, api
    running: int = 0
    wanted: int = 0  # those that start or are repaired included
    state: str = ""  # healthy, updating, unhealthy, ... in Serve's words
    message: str = ""


class RelayReport(Report):
    """How one relay does."""

    relay: str
    kind: str
    address: str = ""
    state: str  # starting, running, waiting (for one of its sides)
    relayed: Mapping[str, int] = Field(default_factory=dict)  # topic -> messages since its process began
    refused: int = 0
    gaps: int = 0
    behind: int | None = None  # entries; None where the server does not count them
    behind_s: float = 0.0
    restarts: int = 0  # of the relays' process
    last_error: str | None = None
    last_error_at: float | None = None

    @classmethod
    def of(cls, status: RelayStatus, restarts: int) -> Self:
        """The report of a relay that told its status."""
        told = {field.name: getattr(status, field.name) for field in fields(status) if field.name != "name"}
        return cls(relay=status.name, restarts=restarts, **told)


class SystemReport(Report):
    """The whole running system at one moment, as last reported."""

    at: float
    started_at: float
    run_id: str = ""
    desired_version: int = 0  # the version of the desired state that is in force
    problems: Mapping[str, str] = Field(default_factory=dict)  # camera -> why its override is not in force
    base_problems: Mapping[str, str] = Field(default_factory=dict)  # `line NAME`, `model NAME` -> the same
    cameras: tuple[CameraReport, ...] = ()
    shards: tuple[ShardReport, ...] = ()
    relays: tuple[RelayReport, ...] = ()
    stages: tuple[StageReport, ...] = ()  # none where Serve did not tell lately

    def camera(self, name: str) -> CameraReport | None:
        """The report of one camera, or None where there is none."""
        return next((report for report in self.cameras if report.camera == name), None)


def by_name(report: SystemReport | None) -> dict[str, CameraReport]:
    """Each camera's own; none where nothing reports."""
    return {} if report is None else {camera.camera: camera for camera in report.cameras}


class _Index(Report):
    """The small record that names the others, so that reading needs no SCAN."""

    at: float
    started_at: float
    run_id: str = ""
    desired_version: int = 0
    problems: Mapping[str, str] = Field(default_factory=dict)
    base_problems: Mapping[str, str] = Field(default_factory=dict)
    camera_names: tuple[str, ...] = ()
    shard_names: tuple[str, ...] = ()
    relays: tuple[RelayReport, ...] = ()
    stages: tuple[StageReport, ...] = ()

    @classmethod
    def of(cls, report: SystemReport) -> Self:
        return cls(
            at=report.at,
            started_at=report.started_at,
            run_id=report.run_id,
            desired_version=report.desired_version,
            problems=report.problems,
            base_problems=report.base_problems,
            camera_names=tuple(camera.camera for camera in report.cameras),
            shard_names=tuple(shard.shard for shard in report.shards),
            relays=report.relays,
            stages=report.stages,
        )


class StateStore:
    """Writes and reads the reports. The client is the caller's to open and close."""

    def __init__(self, redis: Redis, prefix: str = "rayline") -> None:
        self._redis = redis
        self._prefix = f"{prefix}:state"

    async def write(self, report: SystemReport) -> None:
        """Put the report where `read` finds it, for TTL_S. Raises redis.RedisError."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for camera in report.cameras:
                pipe.set(self._key("camera", camera.camera), camera.model_dump_json(), ex=TTL_S)
            for shard in report.shards:
                pipe.set(self._key("shard", shard.shard), shard.model_dump_json(), ex=TTL_S)
            pipe.set(self._key("supervisor"), _Index.of(report).model_dump_json(), ex=TTL_S)
            await pipe.execute()

    async def read(self, cameras: Collection[str] | None = None) -> SystemReport | None:
        """The last report, or None where no supervisor has reported for TTL_S. Raises redis.RedisError.

        With `cameras`, only theirs and no shards': what little is asked for is read sooner.
        """
        raw = await self._redis.get(self._key("supervisor"))
        if raw is None:
            return None
        index = _Index.model_validate_json(raw)
        names = [name for name in index.camera_names if cameras is None or name in cameras]
        found = _parsed(CameraReport, await self._fetch("camera", names))
        shards = _parsed(ShardReport, await self._fetch("shard", index.shard_names if cameras is None else ()))
        return SystemReport(**index.model_dump(), cameras=tuple(found), shards=tuple(shards))

    async def camera(self, name: str) -> CameraReport | None:
        """The last report of one camera, or None where nobody has reported it for TTL_S. Raises redis.RedisError."""
        return next(iter(_parsed(CameraReport, await self._fetch("camera", [name]))), None)

    async def clear(self) -> None:
        """Take the report back: said at a clean stop, so that nobody reads ten seconds of stale news."""
        await self._redis.delete(self._key("supervisor"))

    async def _fetch(self, kind: str, names: Iterable[str]) -> list[bytes | None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.get(self._key(kind, name))
            return list(await pipe.execute())

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))


def _parsed(kind: type[R], raws: Iterable[bytes | None]) -> Iterable[R]:
    for raw in raws:
        if raw is None:
            continue
        try:
            yield kind.model_validate_json(raw)
        except ValidationError:  # another version's record: the others still tell their part
            continue
