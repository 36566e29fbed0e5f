"""The whole configuration of one Rayline: settings that sit beside the classes they set, composed and cross-checked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from pipeline.alarms.settings import AlarmSettings
from pipeline.config_errors import ConfigError, Problem, line_of, problems_of
from pipeline.config_file import Document, read_document
from pipeline.config_paths import anchored
from pipeline.control.settings import ApiSettings
from pipeline.dashboard.settings import DashboardSettings
from pipeline.history.plant import PlantSettings
from pipeline.history.settings import HistorySettings
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.masking import mask
from pipeline.names import Name, choices, did_you_mean
from pipeline.observe.settings import ObserveSettings
from pipeline.orchestrate.graph_settings import GraphSettings
from pipeline.orchestrate.part_counter import PartCounterSettings
from pipeline.orchestrate.shards import assign
from pipeline.plain import plain
from pipeline.relays.settings import RelaySettings
from pipeline.sinks.preview_settings import PreviewSettings
from pipeline.sinks.redis_client import EMBEDDED, RedisSettings
from pipeline.sinks.snapshots import SnapshotSettings
from pipeline.sinks.spool_settings import SpoolSettings
from stages.detect.settings import ModelSettings
from stages.health.camera_health import HealthSettings
from stages.inspection.settings import InspectionSettings, Point
from stages.settings import Settings
from stages.track.settings import TrackSettings
from stages.track.zones import ZoneSettings, ZonesSettings
from stages.values import CameraId, LineId


class RedisConfig(RedisSettings):
    """Where results and state are kept, and how Rayline runs a Redis of its own."""

    url: SecretStr = Field(
        SecretStr(EMBEDDED),
        description="`embedded` starts a Redis of Rayline's own on this machine, for one line or a trial. Else "
        "redis://[user:password@]host:port/db, rediss:// for TLS, or unix:///path; keep the password in `url_file` or "
        "write ${NAME} and set NAME in the environment.",
    )
    data_dir: Path | None = Field(
        None,
        description="embedded only: folder in which it keeps results over a restart, at most a second behind. "
        "null: nothing outlives `rayline up`.",
    )
    port: int = Field(
        0, ge=0, le=65535, description="embedded only: its port on 127.0.0.1. 0 takes a free one, told at the start."
    )


class RecipeSettings(Settings):
    """What is looked for, and how it is judged; lines and cameras name it."""

    model: Name = Field(description="Name of an entry of `models`.")
    roi: tuple[float, float, float, float] | None = Field(
        None,
        description="Part of the picture the model sees: x1 y1 x2 y2 as fractions of width and height. A tight one "
        "makes small things larger and keeps neighbours out; null is the whole picture.",
    )
    track: TrackSettings = Field(default_factory=TrackSettings, description="How objects keep their identity.")
    zones: ZonesSettings = Field(default_factory=ZonesSettings, description="Areas and lines that make events.")
    health: HealthSettings = Field(default_factory=HealthSettings, description="When a picture is no evidence.")
    inspection: InspectionSettings | None = Field(
        None, description="What a part is and what makes it pass or reject. null: objects and events only, no verdicts."
    )

    @model_validator(mode="after")
    def _roi_is_a_box(self) -> Self:
        if self.roi and not (0 <= self.roi[0] < self.roi[2] <= 1 and 0 <= self.roi[1] < self.roi[3] <= 1):
            raise ValueError(
                f"roi {list(self.roi)} is no box: x1 y1 x2 y2 with 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1"
            )
        return self


class LineSettings(Settings):
    """A production line: the unit that is counted and reported."""

    recipe: Name = Field(description="Name of an entry of `recipes`; holds for its cameras that name none.")
    changeover_timeout_s: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="Longest wait for a gap between parts when the line's recipe is changed while it runs; then it is "
        "changed with parts in view. Longer finds a gap more often; shorter changes sooner on a belt that never has "
        "one. 0 waits for none.",
    )
    part_counter: PartCounterSettings | None = Field(
        None,
        description="A counter of the line's parts that is no camera. `rayline status` then shows how many parts it "
        "counted, how many were inspected, and the difference. null: nobody knows of parts that no camera saw.",
    )
    target_per_hour: float | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description="Parts an hour that the line is to make; the page shows throughput against it. null: no target is "
        "shown.",
    )


class CameraConfig(CameraSettings):
    """A camera and its place on a line."""

    line: Name | None = Field(
        None, description="Name of an entry of `lines`. null: a line of its own, named as the camera."
    )
    station: Name | None = Field(None, description="Where on the line it stands, in every message. null: its own name.")
    recipe: Name | None = Field(
        None, description="Name of an entry of `recipes`; wins over the line's. Needed where the line names none."
    )
    counts: bool | None = Field(
        None,
        description="Whether the line's parts are counted here; one camera of a line at most. null: yes if it is the "
        "line's only camera.",
    )
    belt_speed: float | None = Field(
        None,
        gt=0,
        le=100,
        description="How fast parts move, in fractions of the picture a second along the recipe's `direction`. `check` "
        "then tells whether they are seen often enough to be judged. null: not checked.",
    )
    trigger: tuple[Point, Point] | None = Field(
        None,
        description="Line on which this camera judges parts, in place of its recipe's, whatever recipe is in force: x "
        "and y of both ends as fractions of the picture. Does nothing where the recipe judges nothing. null: the "
        "recipe's.",
    )
    zones: tuple[ZoneSettings, ...] | None = Field(
        None,
        max_length=32,
        description="Areas of this camera, in place of all areas of its recipe. null: the recipe's.",
    )

    @field_validator("zones")
    @classmethod
    def _zones_have_names_of_their_own(cls, zones: tuple[ZoneSettings, ...] | None) -> tuple[ZoneSettings, ...] | None:
        if zones is not None:
            ZonesSettings(zones=zones)
        return zones

    def placed(self, recipe: RecipeSettings) -> RecipeSettings:
        """The recipe with this camera's own trigger and zones. Raises ValueError where no part can cross it."""
        own: dict[str, Any] = {}
        if self.zones is not None:
            own["zones"] = recipe.zones.model_copy(update={"zones": self.zones})
        if self.trigger is not None and recipe.inspection is not None:
            data = plain(recipe.inspection) | {"trigger": self.trigger}
            own["inspection"] = InspectionSettings.model_validate(data)
        return recipe.model_copy(update=own) if own else recipe


@dataclass(frozen=True, slots=True)
class ResolvedCamera:
    """One camera with everything it names looked up."""

    camera_id: CameraId
    settings: CameraConfig
    line: LineId
    station: str
    counts: bool
    recipe_name: str
    recipe: RecipeSettings
    model_name: str
    model: ModelSettings

    @property
    def shard_group(self) -> str:
        """Cameras of one group may share a shard: one model, and either all live or none."""
        return f"{self.model_name}-{'live' if self.settings.is_live else 'files'}"


class RaylineConfig(Settings):
    """One Rayline. Making one checks that every name it uses is there; ConfigError tells what is not."""

    version: Literal[1] = Field(1, description="Version of this file's layout.")
    redis: RedisConfig = Field(default_factory=RedisConfig, description="Where results and state are kept.")
    models: dict[Name, ModelSettings] = Field(default_factory=dict, description="Detectors, by name.")
    recipes: dict[Name, RecipeSettings] = Field(
        default_factory=dict, description="What is looked for and judged, by name."
    )
    lines: dict[Name, LineSettings] = Field(default_factory=dict, description="Production lines, by name.")
    topics: dict[Name, TopicSettings] = Field(
        default_factory=dict,
        description="Kafka topics that bring pictures, by name; cameras name them as `kafka:NAME`.",
    )
    cameras: dict[Name, CameraConfig] = Field(default_factory=dict, description="Cameras, by name.")
    snapshots: SnapshotSettings | None = Field(
        None, description="Where pictures of judged parts are kept. null: none are."
    )
    previews: PreviewSettings | None = Field(
        default_factory=PreviewSettings,
        description="Live pictures, made only while somebody watches. null: nobody can.",
    )
    relays: dict[Name, RelaySettings] = Field(
        default_factory=dict,
        description="What is handed on out of Redis, by name: to Kafka topics or into files. A relay holds the streams "
        "it has not read.",
    )
    spool: SpoolSettings | None = Field(
        default_factory=SpoolSettings,
        description="Where live results wait on disk while Redis is away. null: they are lost, counted and told.",
    )
    api: ApiSettings | None = Field(None, description="The HTTP API. null: there is none, and no port is open.")
    dashboard: DashboardSettings | None = Field(
        None, description="The page in a browser. null: there is none, and no port is open."
    )
    history: HistorySettings | None = Field(
        None, description="Results in SQL, for charts and questions about the past. null: there is none."
    )
    plant: PlantSettings = Field(
        default_factory=PlantSettings,
        description="The clock by which days and shifts are reckoned, and what control charts are judged by.",
    )
    alarms: AlarmSettings = Field(
        default_factory=AlarmSettings,
        description="What raises an alarm, and who is told; looked at where a `history` is kept.",
    )
    graph: GraphSettings = Field(
        default_factory=GraphSettings, description="Processes, batches, and their share of cores."
    )
    observe: ObserveSettings = Field(default_factory=ObserveSettings, description="Logs and metrics.")

    @model_validator(mode="after")
    def _names_are_there(self) -> Self:
        problems = [*self._recipe_problems(), *self._line_problems(), *self._camera_problems(), *self._count_problems()]
        problems += [*self._topic_problems(), *self._topic_name_problems()]
        if problems:
            raise ConfigError(problems)
        return self

    def camera_ids(self) -> tuple[CameraId, ...]:
        """All cameras, in the order of their names."""
        return tuple(CameraId(name) for name in sorted(self.cameras))

    def camera(self, camera_id: str) -> ResolvedCamera:
        """The camera with everything it names. Raises KeyError. For all of them, `resolved` looks up less."""
        line = self.cameras[camera_id].line or camera_id
        return self._resolve(camera_id, [other.line or name for name, other in self.cameras.items()].count(line))

    def resolved(self) -> dict[CameraId, ResolvedCamera]:
        """Every camera with everything it names, in the order of their names."""
        on_line = Counter(camera.line or name for name, camera in self.cameras.items())
        return {name: self._resolve(name, on_line[self.cameras[name].line or name]) for name in self.camera_ids()}

    def _resolve(self, camera_id: str, cameras_on_line: int) -> ResolvedCamera:
        settings = self.cameras[camera_id]
        recipe_name = self._recipe_name(settings)
        assert recipe_name is not None  # noqa: S101 - checked when the config was made
        recipe = settings.placed(self.recipes[recipe_name])
        return ResolvedCamera(
            camera_id=CameraId(camera_id),
            settings=settings.model_copy(update={"camera_id": CameraId(camera_id)}),
            line=LineId(settings.line or camera_id),
            station=settings.station or camera_id,
            counts=cameras_on_line == 1 if settings.counts is None else settings.counts,
            recipe_name=recipe_name,
            recipe=recipe,
            model_name=recipe.model,
            model=self.models[recipe.model],
        )

    def counting_camera(self, line: str) -> ResolvedCamera | None:
        """The camera at which the line's parts are counted, or None where there is none."""
        on_it = (name for name, camera in sorted(self.cameras.items()) if (camera.line or name) == line)
        return next((camera for camera in map(self.camera, on_it) if camera.counts), None)

    def with_cameras(self, cameras: Mapping[str, CameraConfig]) -> RaylineConfig:
        """The same with these cameras in place of its own. Raises ConfigError where they do not fit."""
        return RaylineConfig(
            **{**{name: getattr(self, name) for name in self.model_fields_set}, "cameras": dict(cameras)}
        )

    def with_base(self, lines: Mapping[str, LineSettings], models: Mapping[str, ModelSettings]) -> RaylineConfig:
        """The same with these lines and models in place of its own. Raises ConfigError where they do not fit."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return RaylineConfig(**{**given, "lines": dict(lines), "models": dict(models)})

    def with_redis(self, url: str) -> RaylineConfig:
        """The same for another Redis address, such as that of the embedded one once it runs."""
        return self.model_copy(update={"redis": self.redis.at(url)})

    def with_spool_in(self, folder: Path) -> RaylineConfig:
        """The same with its spool in this folder, if it is to have one."""
        spool = None if self.spool is None else self.spool.model_copy(update={"dir": folder})
        return self.model_copy(update={"spool": spool})

    def with_history_in(self, folder: Path) -> RaylineConfig:
        """The same with its embedded history in this folder."""
        history = None if self.history is None else self.history.model_copy(update={"data_dir": folder})
        return self.model_copy(update={"history": history})

    def history_folder(self) -> Path | None:
        """Where an embedded history is kept over restarts; None where it is not, or is none."""
        if self.history is None or not self.history.embedded:
            return None
        if self.history.data_dir is not None or not self.redis.embedded or self.redis.data_dir is None:
            return self.history.data_dir
        return self.redis.data_dir / "history"

    def history_settings(self) -> HistorySettings | None:
        """What clients need to find the history: with the folder that it is in."""
        if self.history is None:
            return None
        return self.history.model_copy(update={"data_dir": self.history_folder()})

    def redis_settings(self) -> RedisSettings:
        """What clients need to reach Redis."""
        fields = RedisSettings.model_fields
        return RedisSettings(**{name: getattr(self.redis, name) for name in fields})

    def models_in_use(self) -> dict[str, ModelSettings]:
        """The models that at least one camera uses, by name."""
        used = {camera.model_name for camera in self.resolved().values()}
        return {name: self.models[name] for name in sorted(used)}

    def line_ids(self) -> tuple[str, ...]:
        """All lines, those of a single camera included, in the order of their names."""
        return tuple(sorted({*self.lines, *(camera.line or name for name, camera in self.cameras.items())}))

    def shard_count(self) -> int:
        """Shards the cameras make when all start together."""
        groups = {c: camera.shard_group for c, camera in self.resolved().items() if camera.settings.topic is None}
        readers = sum(self.topics[topic].readers for topic in self.topics_in_use())
        return len(set(assign(groups, self.graph.shard_size).values())) + readers

    def cpus_needed(self) -> float:
        """Cores all of it asks Ray for, at most."""
        api_replicas = self.api.replicas if self.api is not None else 0
        return self.graph.cpus_needed(self.shard_count(), len(self.models_in_use()), len(self.relays), api_replicas)

    def topics_in_use(self) -> dict[str, tuple[CameraId, ...]]:
        """The topics that at least one camera comes in, and their cameras."""
        found: dict[str, tuple[CameraId, ...]] = {}
        for camera_id in self.camera_ids():
            if (topic := self.cameras[camera_id].topic) is not None:
                found[topic] = (*found.get(topic, ()), camera_id)
        return found

    def _recipe_name(self, camera: CameraConfig) -> str | None:
        if camera.recipe is not None:
            return camera.recipe
        line = self.lines.get(camera.line) if camera.line else None
        if line is not None:
            return line.recipe
        return next(iter(self.recipes)) if camera.line is None and len(self.recipes) == 1 else None

    def _recipe_problems(self) -> list[Problem]:
        used = {name: recipe.model for name, recipe in self.recipes.items()}
        return [
            unknown_name(("recipes", name, "model"), "model", model, self.models)
            for name, model in used.items()
            if model not in self.models
        ]

    def _line_problems(self) -> list[Problem]:
        return [
            unknown_name(("lines", name, "recipe"), "recipe", line.recipe, self.recipes)
            for name, line in self.lines.items()
            if line.recipe not in self.recipes
        ]

    def _camera_problems(self) -> list[Problem]:
        problems = []
        for name, camera in self.cameras.items():
            path = ("cameras", name)
            if camera.camera_id not in ("", name):
                hint = f"leave `camera_id` out: the key {name!r} is the camera's name"
                problems.append(Problem((*path, "camera_id"), f"is {camera.camera_id!r} under the key {name!r}", hint))
            if camera.recipe is not None and camera.recipe not in self.recipes:
                problems.append(unknown_name((*path, "recipe"), "recipe", camera.recipe, self.recipes))
            elif camera.line is not None and camera.line not in self.lines:
                problems.append(unknown_name((*path, "line"), "line", camera.line, self.lines))
            elif (recipe_name := self._recipe_name(camera)) is None:
                hint = f"give it `recipe:` (there are: {choices(self.recipes)}) or a `line:` that names one"
                problems.append(Problem(path, "names no recipe", hint))
            elif recipe := self.recipes.get(recipe_name):
                problems += _placing_problems((*path, "trigger"), camera, recipe_name, recipe)
        return problems

    def _topic_problems(self) -> list[Problem]:
        models: dict[str, str] = {}
        problems = []
        for name, camera in self.cameras.items():
            topic = camera.topic
            if topic is None:
                continue
            if topic not in self.topics:
                problems.append(unknown_name(("cameras", name, "url"), "topic", topic, self.topics))
                continue
            recipe = self.recipes.get(self._recipe_name(camera) or "")
            model = models.setdefault(topic, recipe.model) if recipe is not None else None
            if recipe is not None and recipe.model != model:
                hint = "give its messages a topic of their own: what comes in one topic goes through one model"
                message = f"topic {topic!r} is of model {model!r}, this camera's recipe wants {recipe.model!r}"
                problems.append(Problem(("cameras", name, "url"), message, hint))
        return problems

    def _topic_name_problems(self) -> list[Problem]:
        """Two entries that read one topic as one group, and dead letters that would be read as pictures."""
        problems = []
        read: dict[tuple[frozenset[str], str], dict[str, str]] = {}
        for name, its in self.topics.items():
            groups = read.setdefault((frozenset(its.brokers), its.topic_name(name)), {})
            if other := groups.get(its.group):
                message = f"topic {its.topic_name(name)!r} is read by {other!r} in group {its.group!r} already"
                problems.append(Problem(("topics", name), message, "name it once, with as many `readers` as you want"))
            groups.setdefault(its.group, name)
        for name, its in self.topics.items():
            dead_letters = its.dead_letters_of(its.topic_name(name))
            if (frozenset(its.brokers), dead_letters) in read:
                message = f"its dead letters would go to {dead_letters!r}, which is read for pictures"
                problems.append(Problem(("topics", name), message, "give `dead_letter_topic` a topic of its own"))
        return problems

    def _count_problems(self) -> list[Problem]:
        counting: dict[str, str] = {}
        problems = []
        for name, camera in self.cameras.items():
            if not camera.counts:
                continue
            line = camera.line or name
            if line in counting:
                hint = "parts would be counted twice: keep `counts: true` at the one station all parts pass"
                message = f"line {line!r} is counted at camera {counting[line]!r} already"
                problems.append(Problem(("cameras", name, "counts"), message, hint))
            counting.setdefault(line, name)
        return problems


def load_config(path: Path, environ: Mapping[str, str] | None = None) -> RaylineConfig:
    """The config file, with environment and secret files put in. Raises ConfigError with every problem found."""
    return config_of(read_document(path, environ))


def config_of(document: Document) -> RaylineConfig:
    """The document as a config. Raises ConfigError with every problem, by line of the file."""
    data = anchored(document.data, document.base)
    try:
        return RaylineConfig.model_validate(data)
    except ValidationError as exc:  # which tells what was given, passwords and all
        raise ConfigError(problems_of(exc, RaylineConfig, data, document.lines), document.file) from None
    except ConfigError as exc:
        placed = [Problem(p.path, p.message, p.hint, line_of(p.path, document.lines)) for p in exc.problems]
        raise ConfigError(placed, document.file) from exc


def config_of_data(data: Mapping[str, Any], source: str = "configuration") -> RaylineConfig:
    """Plain data as a config; relative paths start where the process runs. Raises ConfigError."""
    return config_of(Document(dict(data), source))


def config_data(config: RaylineConfig) -> dict[str, Any]:
    """The config as plain JSON data, secrets in clear: for the store, not for screens. Undone by `config_of_data`."""
    data = plain(config)
    assert isinstance(data, dict)  # noqa: S101 - a model always is
    return data


def config_hash(camera: ResolvedCamera) -> str:
    """Twelve hex digits that change when anything does that shapes the camera's results."""
    shaping = {
        "camera": plain(camera.settings, defaults=True) | {"url": mask(camera.settings.url.get_secret_value())},
        "line": camera.line,
        "station": camera.station,
        "counts": camera.counts,
        "recipe": [camera.recipe_name, plain(camera.recipe, defaults=True)],
        "model": [camera.model_name, plain(camera.model, defaults=True)],
    }
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:12]


def _placing_problems(
    path: tuple[str, ...], camera: CameraConfig, recipe_name: str, recipe: RecipeSettings
) -> list[Problem]:
    try:
        camera.placed(recipe)
    except ValidationError as exc:
        why = str(exc.errors()[0]["msg"]).removeprefix("Value error, ").removeprefix("trigger: ")
        return [Problem(path, f"does not go with recipe {recipe_name!r}: {why}")]
    return []


def unknown_name(path: tuple[str, ...], noun: str, wrong: str, known: Sequence[str] | Mapping[str, Any]) -> Problem:
    """The problem of a name that is not there, with the one that was meant."""
    near = did_you_mean(wrong, known)
    hint = f"did you mean {near!r}?" if near else f"{noun}s there are: {choices(known)}"
    return Problem(path, f"there is no {noun} {wrong!r}", hint)
