"""When a live camera may go on behind what Redis was left with."""

import pytest

from pipeline.sinks.late_writes import rebased
from pipeline.sinks.redis_streams import CameraWrite, WriteOutcome, WriteStatus
from stages.values import Position


def live(seq: int, epoch: int = 7) -> str:
    return Position("live", epoch, seq).encode()


def kafka(offset: int) -> str:
    return Position("kafka:frames/0", offset, 0).encode()


@pytest.mark.parametrize(
    ("stored", "prev", "new", "expected"),
    [
        pytest.param(live(4), live(8), live(16), live(4), id="Redis lost its tail"),
        pytest.param(live(90, 6), live(8), live(16), live(90, 6), id="back into an older epoch"),
        pytest.param(None, live(8), live(16), None, id="Redis lost everything"),
    ],
)
def test_it_may_where_nobody_else_wrote(stored: str | None, prev: str, new: str, expected: str | None) -> None:
    write = CameraWrite("cam", "line", prev, new)
    again = rebased(write, WriteOutcome(WriteStatus.CONFLICT, stored))
    assert again == CameraWrite("cam", "line", expected, new)


@pytest.mark.parametrize(
    ("stored", "prev", "new"),
    [
        pytest.param(live(12), live(8), live(16), id="somebody wrote in between"),
        pytest.param(live(8), live(8), live(16), id="what it was built on: it was another's turn at that moment"),
        pytest.param(live(0, 8), live(8), live(16), id="a newer epoch"),
        pytest.param(live(4), None, live(16), id="a writer that knows of nothing"),
        pytest.param(kafka(1), live(8), live(16), id="another source took over"),
        pytest.param(live(4), kafka(8), live(16), id="it was built on another source"),
        pytest.param(kafka(4), kafka(8), kafka(16), id="frames that can be asked for again"),
        pytest.param(None, kafka(8), kafka(16), id="frames that can be asked for again, of a Redis that lost all"),
        pytest.param("by hand", live(8), live(16), id="no cursor"),
    ],
)
def test_it_may_not_otherwise(stored: str | None, prev: str | None, new: str) -> None:
    assert rebased(CameraWrite("cam", "line", prev, new), WriteOutcome(WriteStatus.CONFLICT, stored)) is None


@pytest.mark.parametrize("status", [status for status in WriteStatus if status is not WriteStatus.CONFLICT])
def test_only_a_conflict_is_tried_again(status: WriteStatus) -> None:
    assert rebased(CameraWrite("cam", "line", live(8), live(16)), WriteOutcome(status, live(4))) is None
