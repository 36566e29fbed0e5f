"""Who is let in."""

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
