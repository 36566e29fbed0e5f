"""What `rayline up` answers with when it ends by itself."""

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline import running
from tests.unit.config.site import SITE, config_from


class Ended:
    """A Rayline whose cameras have all ended."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.config = config_from(SITE)
        self.redis_url = "redis://127.0.0.1:1"
        self._failures = failures

    def all_ended(self) -> bool:
        return True

    def failures(self) -> Mapping[str, str]:
        return self._failures


def run(failures: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    @contextmanager
    def started(*_: Any) -> Iterator[Ended]:
        yield Ended(failures)

    @contextmanager
    def noted(_: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(running, "started", started)
    monkeypatch.setattr(running, "noted", noted)
    monkeypatch.setattr(running, "require_weights", lambda _: None)
    monkeypatch.setattr("time.sleep", lambda _: None)
    told = io.StringIO()
    code = running.run(config_from(SITE), address=None, duration_s=None, save=None, console=Console(file=told))
    return code, told.getvalue()


def test_sources_that_came_to_their_end_are_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run({}, monkeypatch)[0] == 0


def test_sources_that_all_failed_are_a_failure_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = run({"cam-1": "no such file [a.mp4]", "gate": "404 Not Found"}, monkeypatch)
    assert code == 1
    assert "camera cam-1 failed: no such file [a.mp4]\n" in told
    assert "camera gate failed: 404 Not Found\n" in told


def spool_of(config_text: str) -> Path | None:
    with ExitStack() as stack:
        config = running._spool(config_from(SITE + config_text), stack)
        return None if config.spool is None else config.spool.dir


def test_what_waits_for_an_embedded_redis_is_kept_as_long_as_its_data() -> None:
    assert spool_of("redis: {data_dir: /data}\n") == Path("/data/spool")
    folder = spool_of("")
    assert folder is not None
    assert not folder.exists()  # it ended with the run


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        pytest.param("spool: {dir: /spool}\n", Path("/spool"), id="embedded: the folder that was asked for"),
        pytest.param("redis: {url: 'redis://h'}\n", None, id="each replica's own default"),
        pytest.param("spool: null\n", None, id="no spool"),
    ],
)
def test_what_waits_is_kept_where_the_config_says(text: str, folder: Path | None) -> None:
    assert spool_of(text) == folder


def test_in_a_folder_that_was_asked_for_each_redis_has_its_own() -> None:
    text = "spool: {dir: /spool}\nredis: {url: 'redis://%s'}\n"
    one, other, again = (spool_of(text % address) for address in ("one", "other", "user:secret@one:6379"))
    assert one == again != other
    assert one is not None
    assert one.parent == Path("/spool")
