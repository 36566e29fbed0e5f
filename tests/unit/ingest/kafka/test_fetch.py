"""What a URI in a message may name, and how little of it is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.ingest.kafka.fetch import Fetcher
from pipeline.ingest.kafka.message import MessageRefused
from pipeline.ingest.kafka.message_settings import MessageSettings


@contextmanager
def fetcher(**changes: object) -> Iterator[Fetcher]:
    one = Fetcher(MessageSettings.model_validate(changes))
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "in ner").mkdir(parents=True)
    (folder / "in ner" / "a.jpg").write_bytes(b"picture")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "way-out").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize("uri", ["file://{root}/in ner/a.jpg", "file://{root}/in%20ner/a.jpg", "file://in ner/a.jpg"])
def test_a_file_below_the_root_is_read(root: Path, uri: str) -> None:
    with fetcher(uri_schemes=["file"], uri_root=root) as one:
        assert one.fetch(uri.format(root=root)) == b"picture"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("file://{root}/../secret", "forbidden_uri"),
        ("file://{root}/%2e%2e/secret", "forbidden_uri"),
        ("file://../secret", "forbidden_uri"),
        ("file:///etc/passwd", "forbidden_uri"),
        ("file://{root}/way-out", "forbidden_uri"),
        ("file://{root}/nothing", "fetch_failed"),
        ("file://{root}/pipe", "fetch_failed"),
        ("file://{root}/a\0b", "fetch_failed"),
        ("file://{root}", "fetch_failed"),
        ("{root}/in ner/a.jpg", "forbidden_uri"),
        ("local://{root}/in ner/a.jpg", "forbidden_uri"),
        ("simplecache::file://{root}/in ner/a.jpg", "forbidden_uri"),
        ("https://example.org/a.jpg", "forbidden_uri"),
        ("", "forbidden_uri"),
    ],
)
def test_nothing_else_is(root: Path, uri: str, code: str) -> None:
    with fetcher(uri_schemes=["file"], uri_root=root) as one, pytest.raises(MessageRefused) as refused:
        one.fetch(uri.format(root=root))
    assert refused.value.code == code


def test_no_more_than_a_message_may_hold_is_read(root: Path) -> None:
    with fetcher(uri_schemes=["file"], uri_root=root, max_message_bytes=1024) as one:
        (root / "large").write_bytes(bytes(1025))
        with pytest.raises(MessageRefused, match="more than 1024 bytes"):
            one.fetch("file://large")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://evil.example/a.jpg", "'evil.example'"),
        ("https://camera.plant@evil.example/a.jpg", "'evil.example'"),
        ("https://camera.plant.evil.example/a.jpg", "'camera.plant.evil.example'"),
        ("https:///a.jpg", "None"),
        ("https://[::1/a.jpg", "can be read"),
        ("https://[::1]/a.jpg", "'::1'"),
        ("http://camera.plant/a.jpg", "uri_schemes"),
    ],
)
def test_only_named_hosts_are_asked(uri: str, words: str) -> None:
    named = fetcher(uri_schemes=["https"], uri_hosts=["camera.plant"])
    with named as one, pytest.raises(MessageRefused, match=words) as refused:
        one.fetch(uri)
    assert refused.value.code == "forbidden_uri"


def test_storage_libraries_speak_through_refusals() -> None:
    with fetcher(uri_schemes=["memory", "nonsense"]) as one:
        for uri in ("memory://nothing-here", "nonsense://x"):
            with pytest.raises(MessageRefused, match="cannot be fetched") as refused:
                one.fetch(uri)
            assert refused.value.retryable


def test_credentials_in_a_uri_are_not_told() -> None:
    with fetcher(uri_schemes=["memory"]) as one, pytest.raises(MessageRefused) as refused:
        one.fetch("memory://user:hunter2@bucket/x.jpg?X-Amz-Signature=hunter2")
    assert "hunter2" not in str(refused.value)
