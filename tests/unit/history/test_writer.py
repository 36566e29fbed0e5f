"""Writing into SQLite, and what is refused before any database sees it."""

from pathlib import Path

import pytest

from pipeline.history.records import record_of
from stages.results import MessageError
from tests.unit.history.messages import event, interval, part
from tests.unit.history.promises import Promises


class TestOnSqlite(Promises):
    pass


@pytest.mark.parametrize(
    ("message", "told"),
    [
        pytest.param(b"{", "not JSON", id="no JSON"),
        pytest.param(part().replace(b"inspection/1.1", b"inspection/2.0"), "rayline.inspection/2.0", id="a later one"),
        pytest.param(part(external_id="x" * 301), "external_id has 301 signs, 300 can be kept", id="too long"),
        pytest.param(part("a\0b"), "id holds a zero byte", id="no text for PostgreSQL"),
        pytest.param(part(labels=["x" * 201]), "label has 201 signs", id="a long label"),
        pytest.param(part(at=-100.0), "captured is no time that can be kept", id="before 1970"),
        pytest.param(interval("i", since=9e11 / 4), "since is no time that can be kept", id="in thousands of years"),
        pytest.param(event("e", "x" * 65), "kind has 65 signs", id="a long kind"),
        pytest.param(Path("tests/golden/detection-1.0.json").read_bytes(), "is not kept", id="a detection"),
    ],
)
def test_what_cannot_be_kept_is_told(message: bytes, told: str) -> None:
    with pytest.raises(MessageError, match=told):
        record_of(message)
