"""Deploying the graph; where that fails, why, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ray import serve
from ray._private.ray_logging import global_worker_stdstream_dispatcher as worker_log  # no public way to filter it

from pipeline.deployments.serve_graph import APP
from stages.errors import RaylineError

if TYPE_CHECKING:
    from ray.serve import Application

_PRINTER = "ray_print_logs"  # what Ray calls its own handler of the workers' log
_ERROR = re.compile(
    r"^(?:\w+\.)*(?P<kind>\w+(?:Error|Failed|Exception|Unavailable|Refused)): (?P<text>.+)$", re.MULTILINE
)


class DeployFailed(RaylineError):
    """A stage could not be started; the message names it and says what its constructor said."""


def deploy(app: Application, logging_config: dict[str, Any], name: str = APP, route_prefix: str | None = None) -> None:
    """Deploy under this name and wait until every replica is ready; `route_prefix`: reached by HTTP under it.

    Raises DeployFailed.
    """
    with _controller_unheard():
        try:
            serve.run(app, name=name, route_prefix=route_prefix, logging_config=logging_config)
        except RuntimeError as exc:
            raise DeployFailed(_why(name, str(exc))) from exc


def _why(app: str, otherwise: str) -> str:
    status = serve.status().applications.get(app)
    failed = {stage: d.message for stage, d in status.deployments.items() if "FAILED" in d.status} if status else {}
    return "\n".join(f"{name}: {cause(message)}" for name, message in failed.items()) or otherwise


def cause(message: str) -> str:
    """What was raised at last, out of Serve's message with its tracebacks; all of the message where nothing was."""
    raised = list(_ERROR.finditer(message))
    if not raised:
        return message
    text = raised[-1]["text"]
    return text if raised[-1]["kind"] == "ModelError" else f"{raised[-1]['kind']}: {text}"


@contextmanager
def _controller_unheard() -> Iterator[None]:
    """Inside, and after a failure, Serve's controller prints nothing here.

    It writes a traceback for each attempt of each replica, which says less than DeployFailed; its log file keeps them.
    """
    printers = [handler for name, handler in worker_log.handlers if name == _PRINTER]

    def print_others(batch: dict[str, Any]) -> None:
        if batch.get("actor_name") != "ServeController":
            for printer in printers:
                printer(batch)

    worker_log.remove_handler(_PRINTER)
    worker_log.add_handler(_PRINTER, print_others)
    yield
    worker_log.remove_handler(_PRINTER)
    for printer in printers:
        worker_log.add_handler(_PRINTER, printer)
