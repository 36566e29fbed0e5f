"""Which Authorization headers prove the password."""

import hashlib

import pytest

from pipeline.demo.rtsp_auth import Login


def _digest(
    password: str, uri: str = "rtsp://h/cam", method: str = "DESCRIBE", nonce: str = "n1", qop: str = ""
) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    middle = f"{nonce}:00000001:c1:{qop}" if qop else nonce
    response = md5(f"{md5(f'eve:Rayline:{password}')}:{middle}:{md5(f'{method}:{uri}')}")
    extra = f', qop={qop}, nc=00000001, cnonce="c1"' if qop else ""
    return f'Digest username="eve", realm="Rayline", nonce="{nonce}", uri="{uri}", response="{response}"{extra}'


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        pytest.param(_digest("x"), True, id="right"),
        pytest.param(_digest("x", qop="auth"), True, id="right, with qop"),
        pytest.param(_digest("y"), False, id="wrong password"),
        pytest.param(_digest("x", method="PLAY"), False, id="made for another method"),
        pytest.param(_digest("x", nonce="n2"), False, id="made for another connection"),
        pytest.param(_digest("x").replace("eve", "bob", 1), False, id="another user"),
        pytest.param("Basic ZXZlOng=", False, id="another scheme"),
        pytest.param("Digest", False, id="empty"),
        pytest.param("", False, id="none"),
    ],
)
def test_digest(header: str, accepted: bool) -> None:
    assert Login("eve", "x", "digest").accepts(header, "DESCRIBE", "n1") is accepted


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        pytest.param("Basic ZXZlOng=", True, id="right"),
        pytest.param("basic ZXZlOng=", True, id="the scheme's case does not matter"),
        pytest.param("Basic ZXZlOnk=", False, id="wrong password"),
        pytest.param("Basic \u00e9", False, id="not even text"),
        pytest.param(_digest("x"), False, id="another scheme"),
    ],
)
def test_basic(header: str, accepted: bool) -> None:
    assert Login("eve", "x", "basic").accepts(header, "DESCRIBE", "n1") is accepted


def test_a_login_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(Login("eve", "hunter2"))
