"""What looks like a credential is masked, and what only looks like one a little is not."""

import pytest

from pipeline.masking import mask


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
