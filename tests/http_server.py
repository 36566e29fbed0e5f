"""An ASGI app on a free port of 127.0.0.1, behind the server that Serve's proxies have, guarded as theirs is."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from pipeline.control.access.addresses import TrustedProxies
from pipeline.deployments.http_protocol import GuardedHttp, Places


@contextmanager
def served(app: ASGIApp, places: Places | None = None, **options: Any) -> Iterator[int]:
    """Its port; `options` are uvicorn's."""
    places = places or Places(1000, TrustedProxies(()))
    settings: dict[str, Any] = {
        "lifespan": "off",
        "log_config": None,
        "proxy_headers": False,
    }
    config = uvicorn.Config(app, http=partial(GuardedHttp, places), **(settings | options))  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    thread = threading.Thread(target=_run, args=(server, listener), name="http-server")
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
        listener.close()


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        server.run(sockets=[listener])
    except OSError as exc:
        if exc.errno != errno.EBUSY:  # uvloop's word where connections are torn down as its loop closes: it is over
            raise
