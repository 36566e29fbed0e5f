"""Commands find the Rayline that runs here, and no other."""

import os
from pathlib import Path

import pytest

from pipeline.instance import DEFAULT_REDIS_URL, Instance, read_instance, redis_url, remove_instance, write_instance

URL = "redis://:hush-hush@127.0.0.1:7000/0"
FAR_FUTURE = 4e9


@pytest.fixture(autouse=True)
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RAYLINE_REDIS_URL", raising=False)
    return tmp_path / "rayline" / "instance.json"


def running(pid: int | None = None, started_at: float = FAR_FUTURE) -> Instance:
    return Instance(URL, os.getpid() if pid is None else pid, started_at, "site.yaml")


def test_a_running_instance_is_found(note: Path) -> None:
    assert write_instance(running()) == note
    assert read_instance() == running()
    assert redis_url() == URL


def test_only_its_user_may_read_the_note(note: Path) -> None:
    write_instance(running())
    assert note.stat().st_mode & 0o077 == 0
    assert "hush-hush" not in repr(running())


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param(running(pid=2**22 + 1), id="its process is gone"),
        pytest.param(running(started_at=1.0), id="another process got its number"),
    ],
)
def test_an_instance_that_ended_is_not_found(instance: Instance) -> None:
    write_instance(instance)
    assert read_instance() is None
    assert redis_url() == DEFAULT_REDIS_URL


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": "x"}'])
def test_a_broken_note_is_no_note(note: Path, content: str) -> None:
    note.parent.mkdir()
    note.write_text(content)
    assert read_instance() is None


def test_what_is_given_wins_over_the_environment_and_that_over_the_note(monkeypatch: pytest.MonkeyPatch) -> None:
    write_instance(running())
    monkeypatch.setenv("RAYLINE_REDIS_URL", "redis://env:1/0")
    assert redis_url() == "redis://env:1/0"
    assert redis_url("redis://given:1/0") == "redis://given:1/0"


def test_only_the_own_note_is_taken_back(note: Path) -> None:
    write_instance(running())
    remove_instance(os.getpid() + 1)
    assert note.exists()
    remove_instance(os.getpid())
    remove_instance(os.getpid())
    assert not note.exists()
