"""What a valid configuration will still not do well: too big for the machine, batches that never fill, parts unseen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import CameraConfig, RaylineConfig, ResolvedCamera
from pipeline.config_findings import Finding, Severity, error, warning
from pipeline.config_machine import Machine
from pipeline.names import choices, did_you_mean
from pipeline.relays.settings import JsonLinesRelaySettings
from stages.inspection.settings import InspectionSettings, sightings_before_trigger, travel_to_trigger


def review(config: RaylineConfig, machine: Machine | None = None) -> list[Finding]:
    """All there is to say, errors first; `machine` None leaves out what only the machine can tell (a cluster's)."""
    found = [*_batches(config), *_models(config), *_cameras(config), *_lines(config), *_unused(config), *_redis(config)]
    found += [*_part_counters(config), *_relays(config), *_history(config), *_alarms(config), *_page(config)]
    if machine is not None:
        found += machine.lacks(config)
    return sorted(found, key=lambda finding: finding.severity is Severity.WARNING)


def _batches(config: RaylineConfig) -> Iterator[Finding]:
    """Limits that were set and can never be reached; the defaults are meant as ceilings and pass."""
    graph, models = config.graph, config.models_in_use()
    most_calls = config.shard_count() * graph.max_in_flight
    if graph.most_detect_replicas > most_calls:
        yield warning(
            ("graph", "detect_replicas"),
            f"{graph.most_detect_replicas} replicas never all have work: {config.shard_count()} shards have at most "
            f"{most_calls} batches under way",
            "lower it, or raise `graph.max_in_flight`, or lower `graph.shard_size`",
        )
    if graph.is_fused and graph.preprocess_replicas > 1:
        yield warning(("graph", "preprocess_replicas"), "does nothing where `topology` is fused", "split scales it")
    if "max_batch" in graph.model_fields_set:
        held = _most_held(config)
        if graph.max_batch > held:
            yield error(
                ("graph", "max_batch"),
                f"{graph.max_batch} can never fill: {graph.shard_size} cameras a shard hold {held} frames at most",
                f"at most {held} here, or raise `shard_size` or the cameras' `buffer_frames`",
            )
        largest = max((model.max_batch for model in models.values()), default=graph.max_batch)
        if graph.max_batch > largest:
            yield error(
                ("graph", "max_batch"),
                f"{graph.max_batch} can never fill: no model takes more than {largest} frames at once",
                "raise the model's `max_batch` as well, or lower this",
            )
    for name, model in models.items():
        most = config.shard_count() * graph.max_in_flight * graph.max_batch
        if "max_batch" in model.model_fields_set and model.max_batch > most:
            yield error(
                ("models", name, "max_batch"),
                f"{model.max_batch} can never fill: {config.shard_count()} shards have at most {most} frames in flight",
                "lower it, or raise `graph.max_batch` or `graph.max_in_flight`",
            )


def _most_held(config: RaylineConfig) -> int:
    """Frames that the cameras of the fullest shard hold ready at most: those there are, and such as may be added."""
    size = config.graph.shard_size
    added = [CameraConfig.model_fields["buffer_frames"].default] * size
    groups: defaultdict[str, list[int]] = defaultdict(lambda: list(added))
    for name in config.camera_ids():
        camera = config.camera(name)
        groups[camera.shard_group].append(camera.settings.buffer_frames)
    return max((sum(sorted(frames, reverse=True)[:size]) for frames in groups.values()), default=sum(added))


def _models(config: RaylineConfig) -> Iterator[Finding]:
    for name, model in config.models_in_use().items():
        path = Path(model.weights)
        if "://" in model.weights or path.exists():
            continue
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        near = did_you_mean(path.name, beside)
        there = f"did you mean {near!r}?" if near else f"in {path.parent}: {choices(beside)}"
        yield error(("models", name, "weights"), f"{path}: no such file", there)


def _cameras(config: RaylineConfig) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in config.camera_ids():
        camera = config.camera(name)
        url = camera.settings.url
        if not url.is_network and camera.settings.topic is None and not Path(url.path).exists():
            yield error(("cameras", name, "url"), f"{url.path}: no such file", "a video, a folder or a device")
        first = seen.setdefault(url.get_secret_value(), name)
        if first != name and camera.settings.topic is None:
            yield warning(
                ("cameras", name, "url"),
                f"camera {first!r} reads the same address",
                "each opens a connection of its own, and every part is judged twice",
            )
        yield from _labels(camera)
        if camera.recipe.inspection is not None:
            yield from _sightings(camera, camera.recipe.inspection)


def _labels(camera: ResolvedCamera) -> Iterator[Finding]:
    """Labels a rule waits for and that can never come."""
    recipe, inspection = camera.recipe, camera.recipe.inspection
    if inspection is None:
        return
    path: tuple[str | int, ...] = ("recipes", camera.recipe_name, "inspection")
    if camera.recipe.track.classes is not None and inspection.part_label not in camera.recipe.track.classes:
        yield error(
            (*path, "part_label"),
            f"{inspection.part_label!r} is never tracked, so no part is ever judged",
            f"add it to recipes.{camera.recipe_name}.track.classes ({choices(recipe.track.classes or ())})",
        )
    if camera.model.classes is None:
        return
    wanted = {inspection.part_label}.union(*(rule.labels for rule in inspection.required))
    wanted |= {rule.label for rule in inspection.defects}
    for label in sorted(wanted - set(camera.model.classes)):
        near = did_you_mean(label, camera.model.classes)
        yield error(
            path,
            f"waits for {label!r}, which models.{camera.model_name}.classes leaves out",
            f"did you mean {near!r}?" if near else f"the model keeps: {choices(camera.model.classes)}",
        )


def _sightings(camera: ResolvedCamera, inspection: InspectionSettings) -> Iterator[Finding]:
    settings = camera.settings
    path = ("cameras", camera.camera_id, "belt_speed")
    if settings.belt_speed is None:
        return
    if settings.fps is None:
        yield warning(path, "cannot be checked without `fps`", "set `fps` to what the camera gives, or less")
        return
    view = camera.recipe.roi or (0.0, 0.0, 1.0, 1.0)
    travel = travel_to_trigger(inspection, (1, 1), inspection.part_length or 0.0, view)
    seen = sightings_before_trigger(settings.belt_speed, settings.fps, travel)
    if seen < inspection.min_votes:
        yield warning(
            path,
            f"a part is seen {seen} times before the trigger, min_votes is {inspection.min_votes}: every part would be "
            "indeterminate",
            "raise `fps`, move the trigger along the belt, slow the belt, or lower `min_votes`",
        )


def _lines(config: RaylineConfig) -> Iterator[Finding]:
    stations: defaultdict[str, list[ResolvedCamera]] = defaultdict(list)
    for name in config.camera_ids():
        camera = config.camera(name)
        stations[camera.line].append(camera)
    for line, cameras in stations.items():
        judging = [camera for camera in cameras if camera.recipe.inspection is not None]
        if len(judging) > 1 and not any(camera.counts for camera in cameras):
            yield warning(
                ("lines", line),
                f"has {len(judging)} stations and counts its parts at none",
                f"set `counts: true` at the one all parts pass ({choices(camera.camera_id for camera in judging)})",
            )


def _part_counters(config: RaylineConfig) -> Iterator[Finding]:
    """Counters whose parts nothing can be held against."""
    for line, settings in config.lines.items():
        if settings.part_counter is None:
            continue
        path = ("lines", line, "part_counter")
        camera = config.counting_camera(line)
        if camera is None:
            yield error(
                path,
                f"no camera of line {line!r} counts its parts, so there is nothing to compare the counter with",
                "set `counts: true` at the one camera that all parts pass",
            )
        elif camera.recipe.inspection is None:
            yield error(
                path,
                f"camera {camera.camera_id!r} counts the line's parts, and its recipe inspects none",
                f"give recipes.{camera.recipe_name} an `inspection`, or set `counts: true` at a camera that inspects",
            )


def _relays(config: RaylineConfig) -> Iterator[Finding]:
    """Relays that would write into each other, or that read what nobody writes."""
    folders: dict[Path, str] = {}
    for name, relay in config.relays.items():
        for line in sorted(set(relay.lines or ()) - set(config.line_ids())):
            near = did_you_mean(line, config.line_ids())
            hint = f"did you mean {near!r}?" if near else f"lines there are: {choices(config.line_ids())}"
            yield warning(("relays", name, "lines"), f"no camera is on line {line!r}", hint)
        if isinstance(relay, JsonLinesRelaySettings):
            other = folders.setdefault(relay.folder, name)
            if other != name:
                yield error(("relays", name, "folder"), f"relay {other!r} writes there", "each needs one of its own")


def _unused(config: RaylineConfig) -> Iterator[Finding]:
    cameras = list(config.resolved().values())
    used_recipes = {camera.recipe_name for camera in cameras} | {line.recipe for line in config.lines.values()}
    used_models = {config.recipes[name].model for name in used_recipes}
    on_lines = {config.recipes[line.recipe].model for line in config.lines.values()}
    used_recipes |= {name for name, recipe in config.recipes.items() if recipe.model in on_lines}  # to change over to
    used_lines = {camera.line for camera in cameras}
    sections = (("models", config.models, used_models), ("recipes", config.recipes, used_recipes))
    for section, there, used in (*sections, ("lines", config.lines, used_lines)):
        for name in sorted(there.keys() - used):
            yield warning((section, name), "is used by nothing")
    if not cameras:
        yield warning(("cameras",), "there are none", "`rayline cameras add NAME URL` adds them while Rayline runs")


def _alarms(config: RaylineConfig) -> Iterator[Finding]:
    """Lines come and go while all runs, so an unknown one is no error."""
    there = config.line_ids()
    named: list[tuple[tuple[str, ...], str]] = [(("lines", line), line) for line in config.alarms.lines]
    for name, webhook in config.alarms.webhooks.items():
        named += [(("webhooks", name), line) for line in webhook.lines or ()]
    if config.alarms.email is not None:
        named += [(("email", "lines"), line) for line in config.alarms.email.lines or ()]
    for path, line in named:
        if line not in there:
            yield warning(("alarms", *path), f"there is no line {line!r}", f"lines there are: {choices(there)}")


def _redis(config: RaylineConfig) -> Iterator[Finding]:
    if config.redis.embedded:
        return
    for key in ("data_dir", "port"):
        if key in config.redis.model_fields_set:
            yield warning(("redis", key), "is for `url: embedded` only and does nothing here")


def _history(config: RaylineConfig) -> Iterator[Finding]:
    """Settings that do nothing, and a history that has no place or forgets it."""
    history = config.history
    if history is None:
        return
    if not history.embedded:
        if history.data_dir is not None:
            yield warning(("history", "data_dir"), "is for `url: embedded` only and does nothing here")
        return
    if history.password_file is not None:
        yield warning(("history", "password_file"), "is for a postgresql:// address only and does nothing here")
    if config.history_folder() is not None:
        return
    if not config.redis.embedded:
        yield error(
            ("history",),
            "`embedded` has no folder to keep it in",
            "set `data_dir`, or the `url` of a PostgreSQL, which others can reach too",
        )
    else:
        yield warning(
            ("history",), "ends with `rayline up`, as the embedded Redis keeps nothing", "`data_dir` keeps it"
        )


def _page(config: RaylineConfig) -> Iterator[Finding]:
    """A page that cannot listen, that others would log into in clear, or that has nothing to show."""
    page, api = config.dashboard, config.api
    if page is None:
        return
    if api is not None and page.port == api.port:
        yield error(("dashboard", "port"), f"{page.port} is api.port too", "each listens on one of its own")
    if not page.is_loopback and not page.trusted_proxies:
        yield warning(
            ("dashboard", "host"),
            "is reached by others without a proxy: whoever listens reads the keys they log in with",
            "put a proxy that speaks TLS before it (docker/nginx.conf) and name it in `trusted_proxies`",
        )
    if config.history is None:
        yield warning(
            ("dashboard",),
            "has no `history`: it shows what is now, no counts, charts or parts",
            "`history: {}` keeps one",
        )
