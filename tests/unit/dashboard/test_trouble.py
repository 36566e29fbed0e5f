"""What fails on an open page is told once, and none of it is lost."""

from __future__ import annotations

import pytest

from pipeline.dashboard.trouble import Trouble
from pipeline.sinks.errors import SinkUnavailable

LOOK, LOOK_CLOSER = 0, 1


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [repr(record.exc_info[1]) if record.exc_info else record.getMessage() for record in caplog.records]


def test_another_error_that_nobody_foresaw_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble()
    assert trouble.note(LOOK, KeyError("one"))
    assert not trouble.note(LOOK, KeyError("one"))
    assert not trouble.note(LOOK, KeyError("another"))  # which is in the log, as its reader was told
    assert logged(caplog) == ["KeyError('one')", "KeyError('another')"]


def test_what_fails_several_works_is_told_and_logged_once_until_all_work_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = Trouble()
    assert trouble.note(LOOK, SinkUnavailable("no answer for 1 s"))
    assert not trouble.note(LOOK_CLOSER, SinkUnavailable("no answer for 2 s"))
    assert not trouble.note(LOOK, None)
    assert len(trouble.told()) == 1
    assert trouble.note(LOOK_CLOSER, None)
    assert trouble.told() == {}
    assert logged(caplog) == ["a page: no answer for 1 s"]
