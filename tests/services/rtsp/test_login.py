"""Who is let in."""

import ssl
import subprocess
from pathlib import Path

import av
import pytest

from pipeline.demo.rtsp_auth import Scheme
from pipeline.demo.rtsp_server import RtspServer
from tests.services.rtsp.client import BareClient, numbered, numbers, open_camera, soon, take

pytestmark = pytest.mark.services

SCHEMES: tuple[Scheme, ...] = ("basic", "digest")
PASSWORD = "p@ss:w/rd"


@pytest.mark.parametrize("auth", SCHEMES)
def test_the_right_password_opens(auth: Scheme) -> None:
    with RtspServer(user="eve", password=PASSWORD, auth=auth) as server:
        server.add_stream("cam", soon(fps=30), numbered())
        with open_camera(server.url("cam")) as camera:
            assert numbers(take(camera, 2))


@pytest.mark.parametrize("auth", SCHEMES)
def test_a_wrong_password_and_none_are_refused(auth: Scheme) -> None:
    with RtspServer(user="eve", password=PASSWORD, auth=auth) as server:
        server.add_stream("cam", soon(), numbered())
        bare = server.url("cam", with_credentials=False)
        for url in (bare, bare.replace("rtsp://", "rtsp://eve:wrong@"), bare.replace("rtsp://", "rtsp://bob:x@")):
            with pytest.raises(av.error.HTTPUnauthorizedError), open_camera(url):
                pass


def test_a_basic_answer_does_not_open_a_digest_door() -> None:
    with RtspServer(user="eve", password="x", auth="digest") as server:
        server.add_stream("cam", soon(), numbered())
        with BareClient(server.url("cam", with_credentials=False)) as client:
            reply = client.ask("DESCRIBE", Authorization="Basic ZXZlOng=")
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Digest ")


def test_every_request_past_options_needs_the_password() -> None:
    with RtspServer(user="eve", password="x") as server:
        server.add_stream("cam", soon(), numbered())
        with BareClient(server.url("cam", with_credentials=False)) as client:
            assert client.ask("OPTIONS").status == 200
            for method in ("DESCRIBE", "SETUP", "PLAY", "PAUSE", "GET_PARAMETER"):
                assert client.ask(method).status == 401


def test_a_server_with_a_certificate_is_read_over_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True, timeout=60)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with RtspServer(user="eve", password="x", tls=tls) as server:
        server.add_stream("cam", soon(fps=30), numbered())
        assert server.url("cam").startswith("rtsps://")
        with open_camera(server.url("cam")) as camera:
            assert numbers(take(camera, 3))
