"""The page's own process: `serve` until it is told to stop; as a child of `rayline up` it is told all by a pipe."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import orjson

from pipeline.children import told_by_parent
from pipeline.manners import let_the_line_go_first
from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.dashboard.settings import DashboardSettings

logger = logging.getLogger(__name__)

MODULE = "pipeline.dashboard.process"
_STOP_S = 2  # for open pages: they come again by themselves
_MOST_CONNECTIONS = 1000


class PageNotServed(RaylineError):
    """The page cannot be: the text says what to change."""


def serve(config: RaylineConfig, settings: DashboardSettings) -> None:
    """Answers until SIGTERM or Ctrl-C. Raises PageNotServed, TokensMisconfigured."""
    import uvicorn

    from pipeline.dashboard.access import access_for
    from pipeline.dashboard.app import make_app
    from pipeline.dashboard.services import Services

    services = Services(config, settings)
    with listening_on(settings) as listening:
        app = make_app(services, access_for(config, settings, services.redis))
        options = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",  # else each socket's address, with the page's id in it
            access_log=False,
            server_header=False,
            proxy_headers=False,  # it would believe whoever is on this machine; ClientAddress believes whom it may
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_STOP_S,
            ws="wsproto",
            ws_max_size=1_000_000,
        )
        logger.info("the page is at %s", settings.url)
        uvicorn.Server(options).run([listening])


def listening_on(settings: DashboardSettings) -> socket.socket:
    """A socket that listens. Raises PageNotServed where another has the port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        raise PageNotServed(
            f"the page cannot listen on {settings.host}:{settings.port} ({why}): set dashboard.host or dashboard.port"
        ) from None


def main() -> None:
    """What the parent starts."""
    told = told_by_parent()  # before the imports, which take seconds
    let_the_line_go_first()
    from pipeline.config import config_of_data
    from pipeline.masking import mask
    from pipeline.observe.logs import set_up_logs

    config = config_of_data(orjson.loads(told), "the configuration of `rayline up`")
    set_up_logs(config.observe, process="dashboard")
    assert config.dashboard is not None  # noqa: S101 - else nobody starts this
    try:
        serve(config, config.dashboard)
    except RaylineError as exc:
        logger.error("the page is not there: %s", mask(str(exc)))  # noqa: TRY400 - it says all
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
