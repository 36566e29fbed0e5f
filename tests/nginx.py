"""Debian's nginx with the shipped configuration: its paths and ports are the test's, all else is as shipped."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.redis_server import free_port

SHIPPED = Path(__file__).parents[1] / "docker" / "nginx.conf"


@dataclass(frozen=True, slots=True)
class Nginx:
    """One that runs."""

    https: int
    http: int
    page: int  # of the page in a browser
    trust: ssl.SSLContext  # of its certificate alone
    ca_file: Path
    log: Path


@contextmanager
def nginx(folder: Path, upstream: int, page: int = 1) -> Iterator[Nginx]:
    """In front of two ports of 127.0.0.1, the API's and the page's, with a certificate for `localhost`."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert binary is not None, "apt-get install nginx"
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command.split(), *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    https, http, page_https, log = free_port(), free_port(), free_port(), folder / "log"
    text = SHIPPED.read_text()
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    for shipped, here in (
        ("listen 443 ", f"listen 127.0.0.1:{https} "),
        ("listen 8443 ", f"listen 127.0.0.1:{page_https} "),
        ("server rayline:8080;", f"server 127.0.0.1:{page};"),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("server rayline:8000;", f"server 127.0.0.1:{upstream};"),
        ("/etc/nginx/tls/cert.pem", str(cert)),
        ("/etc/nginx/tls/key.pem", str(key)),
        ("pid /tmp/nginx.pid;", f"pid {folder}/pid;"),
        ("error_log stderr ", f"error_log {log} "),
        ("/dev/stdout", str(log)),
        ("http {\n", f"http {{\n{temporary}"),
    ):
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, here)
    config = folder / "nginx.conf"
    config.write_text(text)
    as_whom = "user root;" if os.geteuid() == 0 else ""  # nobody else may write into the test's folder
    arguments = ["-p", str(folder), "-c", str(config), "-e", str(log), "-g", f"daemon off; {as_whom}"]
    with subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(https, process, log)
            yield Nginx(https, http, page_https, ssl.create_default_context(cafile=cert), cert, log)
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError("nginx was not ready within 60 s")
