"""Who is let in where the API is open to this machine."""

import pytest
from starlette.requests import HTTPConnection

from pipeline.control.access.loopback import OpenToLoopback
from pipeline.control.problems import ApiError


def _connection(client: str, **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "client": (client, 5000), "headers": raw})


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.0.9", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_is_let_in(client: str) -> None:
    who = await OpenToLoopback().principal(_connection(client, host="localhost:8000"))
    assert who.kind == "loopback"


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        pytest.param("10.0.0.9", {"host": "localhost:8000"}, id="another machine"),
        pytest.param("127.0.0.1", {"host": "evil.example:8000"}, id="a name rebound to this machine"),
        pytest.param("127.0.0.1", {"host": ""}, id="no name at all"),
        pytest.param("127.0.0.1", {"host": "localhost:8000", "origin": "http://evil.example"}, id="another's page"),
        pytest.param("127.0.0.1", {"host": "localhost:8000", "origin": "http://localhost:9"}, id="another port's page"),
        pytest.param("127.0.0.1", {"host": "localhost:8000", "origin": "null"}, id="a page without a place"),
        pytest.param("127.0.0.1", {"host": "localhost:8000", "origin": "http://["}, id="an origin that is none"),
        pytest.param("127.0.0.1", {"host": "127.0.0.1", "sec_fetch_site": "cross-site"}, id="a link from elsewhere"),
    ],
)
async def test_others_are_refused(client: str, headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        await OpenToLoopback().principal(_connection(client, **headers))
    assert refused.value.status in (401, 403)
