"""A running Rayline from start to stop: Redis, Ray, the graph, the supervisor, opened in order and closed backwards."""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.children import Child
from pipeline.dashboard.process import MODULE as DASHBOARD
from pipeline.instance import Instance, remove_instance, write_instance
from pipeline.local_ray import join_ray, set_environment, start_local_ray
from pipeline.preflight import (
    require_cluster,
    require_page_port,
    require_port,
    require_proxies,
    require_redis,
    require_room,
    require_weights,
)
from pipeline.recording import MODULE as RECORDING
from pipeline.sinks.embedded_redis import EmbeddedRedis
from pipeline.sinks.redis_keeper import RedisKeeper
from pipeline.sinks.spool_settings import folder_of

if TYPE_CHECKING:
    from ray.serve import Application
    from rich.console import Console

    from pipeline.config import RaylineConfig

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 8.0
QUIET = {"log_level": "WARNING", "enable_access_log": False}
_CHATTY = ("ray.serve", "ray._private.authentication.authentication_token_setup")  # at each start, to people


@dataclass(frozen=True, slots=True)
class Rayline:
    """What is running: where its results are, and how to ask whether it is done."""

    config: RaylineConfig
    redis_url: str = field(repr=False)  # may hold a password
    supervisor: Any  # Ray actor handle of Supervisor

    def all_ended(self) -> bool:
        """True when every camera has ended for good and its last frame is published."""
        import ray

        try:
            return bool(ray.get(self.supervisor.all_ended.remote(), timeout=STOP_TIMEOUT_S))
        except (ray.exceptions.RayError, TimeoutError) as exc:
            logger.warning("the supervisor does not answer, it is being restarted: %s", type(exc).__name__)
            return False

    def failures(self) -> Mapping[str, str]:
        """Why, by camera, where every camera has failed for good; else nothing."""
        import ray

        try:
            failures: Mapping[str, str] = ray.get(self.supervisor.failures.remote(), timeout=STOP_TIMEOUT_S)
        except (ray.exceptions.RayError, TimeoutError) as exc:
            logger.warning("the supervisor does not answer: %s", type(exc).__name__)
            return {}
        return failures


@contextmanager
def started(
    config: RaylineConfig,
    address: str | None = None,
    save: Path | None = None,
    build: Callable[[RaylineConfig], Application] | None = None,
) -> Iterator[Rayline]:
    """Everything running; on leaving it is stopped in the opposite order, within seconds, and nothing is left.

    `address` joins a Ray cluster instead of starting one here. `save` writes an annotated video of the first camera.
    `build` binds another graph than `pipeline.app.build_app`.
    """
    with ExitStack() as stack:
        stack.enter_context(_sigterm_as_ctrl_c())
        if config.dashboard is not None:
            require_page_port(config.dashboard)
        redis_url = _redis(config, stack)
        config = _spool(config, stack)
        config = _history(config, stack)
        shared = _ray(config, address, stack)
        _take_sigterm()  # Ray took it
        config = config.with_redis(redis_url)
        if shared:
            _require_alone()
        _graph(config, build, shared, stack)
        _api(config, shared, stack)
        _children(config, stack)  # they end behind the supervisor, whose last results they hear
        supervisor = _supervisor(config, save, stack)
        yield Rayline(config, redis_url, supervisor)


def _redis(config: RaylineConfig, stack: ExitStack) -> str:
    if not config.redis.embedded:
        require_redis(config)
        return config.redis.whole_url.get_secret_value()
    server = stack.enter_context(EmbeddedRedis(config.redis.data_dir, config.redis.port))
    stack.enter_context(RedisKeeper(server))
    return server.url


def _spool(config: RaylineConfig, stack: ExitStack) -> RaylineConfig:
    """With a place for what waits. For an embedded Redis it is of no use for longer than that one's own data."""
    if config.spool is None or (config.redis.embedded and config.spool.dir is not None):
        return config
    if not config.redis.embedded:
        named = config.spool.dir  # null: each machine's own default
        return config if named is None else config.with_spool_in(folder_of(config.redis_settings(), named))
    if config.redis.data_dir is not None:
        return config.with_spool_in(config.redis.data_dir / "spool")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rayline-spool-", ignore_cleanup_errors=True)))
    return config.with_spool_in(folder)


def _history(config: RaylineConfig, stack: ExitStack) -> RaylineConfig:
    """With a place for an embedded one; where Redis keeps nothing over a restart, it does not either."""
    if config.history is None or not config.history.embedded:
        return config
    folder = config.history_folder()
    if folder is None:
        made = tempfile.TemporaryDirectory(prefix="rayline-history-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
    return config.with_history_in(folder)


def _ray(config: RaylineConfig, address: str | None, stack: ExitStack) -> bool:
    """Join the cluster at `address`, or start one here; True where others may use it too. Raises RayFailed, NoRoom.

    A process that is in a cluster already stays in it.
    """
    set_environment(config.api.for_proxies if config.api is not None else None)
    import ray

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    is_in_one = ray.is_initialized()
    if not is_in_one:
        stack.callback(ray.shutdown)  # of a Ray started here it ends every process, those of half a start too
        if address is not None:
            join_ray(address)
        else:
            if config.api is not None:
                require_port(config.api)
            start_local_ray(config.observe.metrics_port)
    shared = is_in_one or address is not None
    if shared:
        nodes: Any = ray.nodes()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        require_room(config, [node["Resources"] for node in nodes if node["Alive"]])
    if not is_in_one:
        _serve(config)
    return shared


def _serve(config: RaylineConfig) -> None:
    """Serve's own processes. Where there is no API there is no proxy either: a process less, and no open port.

    A Serve that runs in the cluster already stays as it is. Raises PortTaken where the API cannot be reached by it.
    """
    from ray import serve
    from ray.serve.context import _get_global_client  # Serve tells what it listens on nowhere else

    if config.api is None:
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        return
    options = {"host": config.api.host, "port": config.api.port, "keep_alive_timeout_s": 30}
    serve.start(proxy_location="EveryNode", http_options=options, logging_config=QUIET)
    client = _get_global_client()
    assert client is not None  # noqa: S101 - it was started just now
    require_proxies(config.api, client.http_config.host, client.http_config.port, len(serve.status().proxies))


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Inside, a service manager's SIGTERM stops as Ctrl-C does; Ray's handler looks like a crash and exits with 15."""
    before = _take_sigterm()
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _take_sigterm() -> Any:
    """What was done at a SIGTERM until now; None where that is no affair of ours."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, signal.default_int_handler)


def _graph(
    config: RaylineConfig, build: Callable[[RaylineConfig], Application] | None, shared: bool, stack: ExitStack
) -> None:
    from ray import serve

    from pipeline.app import build_app
    from pipeline.deployments.deploy import deploy
    from pipeline.deployments.serve_graph import APP

    if shared:  # a Ray of our own takes the graph with it when it ends
        stack.callback(serve.delete, APP)
    deploy((build or build_app)(config), QUIET)


def _api(config: RaylineConfig, shared: bool, stack: ExitStack) -> None:
    """The HTTP API, where there is to be one."""
    if config.api is None:
        return
    from ray import serve

    from pipeline.app import build_api
    from pipeline.deployments.api import API_APP
    from pipeline.deployments.deploy import deploy

    if shared:
        stack.callback(serve.delete, API_APP)
    deploy(build_api(config, config.api), QUIET, API_APP, route_prefix="/")


def _children(config: RaylineConfig, stack: ExitStack) -> None:
    """What runs beside the graph, in processes of its own; what they are told holds passwords."""
    from pipeline.config import config_data

    modules = {"history": RECORDING} if config.history is not None else {}
    modules |= {"dashboard": DASHBOARD} if config.dashboard is not None else {}
    for name, module in modules.items():
        stack.enter_context(Child(name, module, json.dumps(config_data(config)).encode()))


def _require_alone() -> None:
    from pipeline.orchestrate.supervisor import require_alone

    require_alone(STOP_TIMEOUT_S)


def _supervisor(config: RaylineConfig, save: Path | None, stack: ExitStack) -> Any:
    import ray

    from pipeline.orchestrate.supervisor import kill_readers, start_supervisor

    supervisor = start_supervisor(config, save)

    def stop() -> None:
        is_stopped = False
        try:
            ray.get(supervisor.stop.remote(STOP_TIMEOUT_S), timeout=2 * STOP_TIMEOUT_S + 2)
            is_stopped = True
        except (ray.exceptions.RayError, TimeoutError) as exc:
            logger.warning("the supervisor did not stop in %.0f s: %s", STOP_TIMEOUT_S, exc)
        finally:  # a second Ctrl-C comes here too
            ray.kill(supervisor)
            if not is_stopped:  # nobody else would end them in a cluster that lives on
                kill_readers()

    stack.callback(stop)  # before it is started: half a start is to be undone too
    ray.get(supervisor.start.remote(), timeout=START_TIMEOUT_S)
    return supervisor


def run(
    config: RaylineConfig,
    *,
    address: str | None,
    duration_s: float | None,
    save: Path | None,
    console: Console,
) -> int:
    """`rayline up`: run until Ctrl-C, for a time, or until every source has ended. The process's exit code.

    That is 1 where every camera has failed for good: their last errors are printed.
    """
    require_weights(config)
    if address is not None:
        require_cluster(address)
    failures: Mapping[str, str] = {}
    cameras = len(config.cameras)
    console.print(f"Starting Rayline with {cameras} camera{'' if cameras == 1 else 's'} ...")
    with suppress(KeyboardInterrupt), started(config, address, save) as rayline:
        try:
            with noted(rayline):
                console.print(f"Running; results are in {rayline.config.redis.address}.{_of_api(config)}")
                if config.dashboard is not None:
                    console.print(config.dashboard.told, markup=False, soft_wrap=True)
                console.print("In another terminal:")
                console.print("  rayline status     rayline consume detections     (Ctrl-C here stops all)")
                _wait(rayline, duration_s)
                failures = rayline.failures()
        finally:
            console.print("Stopping ...")
    for camera, why in failures.items():
        console.print(f"camera {camera} failed: {why}", markup=False, soft_wrap=True)
    return 1 if failures else 0


def _of_api(config: RaylineConfig) -> str:
    if config.api is None:
        return ""
    to_whom = "open to everybody on this machine" if config.api.open_to_loopback else "`rayline token` makes keys"
    return f" HTTP API: {config.api.url} ({to_whom})"


@contextmanager
def noted(rayline: Rayline) -> Iterator[None]:
    """Inside, `rayline status` and the others on this machine find this Rayline by themselves."""
    write_instance(Instance(rayline.redis_url, os.getpid(), time.time()))
    try:
        yield
    finally:
        remove_instance(os.getpid())


def _wait(rayline: Rayline, duration_s: float | None) -> None:
    until = None if duration_s is None else time.monotonic() + duration_s
    while until is None or time.monotonic() < until:
        time.sleep(0.5)
        if rayline.all_ended():
            return
