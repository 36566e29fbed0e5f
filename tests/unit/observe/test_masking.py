"""What looks like a credential is masked, and what only looks like one a little is not."""

import pytest

from pipeline.masking import login_end, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://viewer:pw@host:554/a", "rtsp://viewer:***@host:554/a"),
        ("rtsp://viewer:p@ss/w:rd@host/a", "rtsp://viewer:***@host/a"),
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("s3://key:sec/ret@bucket and https://a:b@h", "s3://key:***@bucket and https://a:***@h"),
        ("https://token@host/a", "https://***@host/a"),
        ("open rtsp://a:b@h, then rtsp://c:d@i", "open rtsp://a:***@h, then rtsp://c:***@i"),
        ("http://h/a?user=x&password=pw&n=1", "http://h/a?user=x&password=***&n=1"),
        ("http://h/a?token=abc", "http://h/a?token=***"),
        ("'rtsp://a:b@h/x'", "'rtsp://a:***@h/x'"),
        ("rtsp://host:554/a", "rtsp://host:554/a"),
        ("http://h/picture@2x.jpg", "http://h/picture@2x.jpg"),
        ("mail to someone@example.com: now", "mail to someone@example.com: now"),
        ("", ""),
    ],
)
def test_credentials_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert mask(mask(text)) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://admin:pa'ss@h/x", "rtsp://admin:***@h/x"),
        ("rtsp://admin:12/S3cr3t@cam/s", "rtsp://admin:***@cam/s"),
        ("lost rtsp://admin:12?S3cr3t@cam/s again", "lost rtsp://admin:***@cam/s again"),
        ("cannot open 'rtsp://admin:pa\"ss@h/x'", "cannot open 'rtsp://admin:***@h/x'"),
        ("rtsp://admin:p<a>ss@h:554 was lost", "rtsp://admin:***@h:554 was lost"),
        ("open rtsp://admin:pa ss@h/x, ask it@plant.eu", "open rtsp://admin:***@h/x, ask it@plant.eu"),
        ("rtsp://h:554, ask it@plant.example", "rtsp://h:554, ask it@plant.example"),
        ("rtsp://h:554/a: no; see https://i/b and mail c@d", "rtsp://h:554/a: no; see https://i/b and mail c@d"),
    ],
)
def test_a_password_in_running_text_may_hold_quotes_and_spaces(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("name", ["psw", "pwd", "pw", "pass", "loginpas", "passwort", "X-Amz-Signature", "api_key"])
def test_logins_that_cameras_take_in_the_query_are_masked(name: str) -> None:
    assert mask(f"got http://h/a?user=a&{name}=s3cret&n=1") == f"got http://h/a?user=a&{name}=***&n=1"
    assert mask(f"http://h/a?{name}=s3'cret") == f"http://h/a?{name}=***"


@pytest.mark.parametrize(
    ("rest", "login"),
    [
        pytest.param("10.0.0.5/live@2", "", id="an @ in the path"),
        pytest.param("10.0.0.5:554/live@2", "", id="an @ in the path behind a port"),
        pytest.param("[fe80::1]:554/live@2", "", id="IPv6"),
        pytest.param("cam:8554/live@2", "", id="a name that may be a host, a number that may be a port"),
        pytest.param("cam/photo@2x.jpg", "", id="a picture's name"),
        pytest.param("cam.example/to@b/c", "", id="a dotted host"),
        pytest.param("bob:pw@10.0.0.5/live@2", "bob:pw", id="login and @ in the path"),
        pytest.param("bob:pw@cam/live@2x.jpg", "bob:pw", id="login, short host and @ in the path"),
        pytest.param("a:b@h", "a:b", id="nothing but login and host"),
        pytest.param("token@h/a", "token", id="a lone name"),
        pytest.param("admin:p@x@cam/1", "admin:p@x", id="@ in the password"),
        pytest.param("admin:pw/x#@cam/1", "admin:pw/x#", id="/ and # in the password"),
        pytest.param("admin:p@ss/w#rd@10.0.0.7:554/1", "admin:p@ss/w#rd", id="@ and / in the password"),
        pytest.param("viewer:p@ss/w:rd@host/a", "viewer:p@ss/w:rd", id="the same before a short host"),
        pytest.param("viewer:p@ss/word@cam.local", "viewer:p@ss/word", id="the same without a path"),
        pytest.param("admin:1234/x@10.0.0.5/live", "admin:1234/x", id="a password that begins like a port"),
        pytest.param("admin:p?s s'\"@cam/1", "admin:p?s s'\"", id="?, space and quotes in the password"),
        pytest.param("user:pw@/1", "user:pw", id="no host"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_where_the_login_of_an_address_ends(rest: str, login: str) -> None:
    assert rest[: max(0, login_end(rest))] == login
