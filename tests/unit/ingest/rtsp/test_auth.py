"""Logging in, by the RFCs' own examples."""

from __future__ import annotations

import pytest

from pipeline.ingest.rtsp.auth import Authenticator, Login

RFC_2617 = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", '
    'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("challenge", "password", "cnonce", "response"),
    [
        pytest.param(RFC_2617, "Circle Of Life", "0a4f113b", "6629fae49393a05397450978507c4ef1", id="RFC 2617"),
        pytest.param(
            RFC_7616.format("MD5"), "Circle of Life", CNONCE_7616, "8ca523f5e9506fed4657c9700eebdbec", id="RFC 7616 MD5"
        ),
        pytest.param(
            RFC_7616.format("SHA-256"),
            "Circle of Life",
            CNONCE_7616,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            id="RFC 7616 SHA-256",
        ),
    ],
)
def test_digest_answers_are_those_of_the_rfcs(challenge: str, password: str, cnonce: str, response: str) -> None:
    login = Authenticator(Login("Mufasa", password), lambda: cnonce)
    assert login.challenged([challenge])
    answer = login.answer("GET", "/dir/index.html")
    assert f'response="{response}"' in answer
    assert "nc=00000001" in answer
    assert f'cnonce="{cnonce}"' in answer
    assert 'opaque="' in answer


def test_a_digest_without_qop_is_the_old_one() -> None:
    login = Authenticator(Login("admin", "12345"))
    assert login.challenged(['Digest realm="IP Camera(C1234)", nonce="abc", stale="FALSE"'])
    answer = login.answer("DESCRIBE", "rtsp://192.0.2.1:554/Streaming/Channels/101")
    assert "cnonce" not in answer
    assert "qop" not in answer
    assert (
        'response="b3b6f3ec9d1abeeae7bc01729b911cd4"' in answer
    )  # md5(md5(user:realm:password):nonce:md5(method:url))


def test_basic_is_answered_and_the_best_offer_taken() -> None:
    login = Authenticator(Login("eve", "x:y"))
    assert login.answer("OPTIONS", "rtsp://cam/") == ""
    assert login.challenged(['Basic realm="/"'])
    assert login.answer("OPTIONS", "rtsp://cam/") == "Basic ZXZlOng6eQ=="
    assert login.challenged(
        ['Basic realm="/"', 'Digest realm="a", nonce="b"', 'Digest realm="a", nonce="b", algorithm=X']
    )
    assert login.answer("OPTIONS", "rtsp://cam/").startswith('Digest username="eve", realm="a", nonce="b"')


def test_each_answer_to_one_nonce_has_its_own_count() -> None:
    login = Authenticator(Login("Mufasa", "x"))
    login.challenged([RFC_2617])
    assert ["nc=00000001" in login.answer("A", "/"), "nc=00000002" in login.answer("A", "/")] == [True, True]


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Bearer token",
        "Digest",
        'Digest realm="a"',
        'Digest nonce="b", qop="auth-int"',
        'Digest nonce="b", algorithm=MD6',
    ],
)
def test_what_cannot_be_answered_is_not(challenge: str) -> None:
    login = Authenticator(Login("eve", "x"))
    assert not login.challenged([challenge])
    assert login.answer("OPTIONS", "/") == ""
    assert not Authenticator(None).challenged(['Basic realm="/"'])


def test_no_text_about_a_login_shows_its_password() -> None:
    assert "s3cret" not in repr(Login("eve", "s3cret"))
