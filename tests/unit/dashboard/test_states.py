"""What people are told of an error."""

from __future__ import annotations

import pytest

from pipeline.dashboard.states import EXPECTED, words_of
from pipeline.dashboard.texts import t
from pipeline.history.charts import NothingToFreeze
from pipeline.history.ranges import RangeError


@pytest.mark.parametrize("exc", [RangeError("no range of time"), NothingToFreeze("no parts")], ids=["range", "freeze"])
def test_what_cannot_be_done_is_told_with_why_and_is_no_fault(exc: Exception) -> None:
    assert isinstance(exc, EXPECTED)
    assert words_of(exc) == t("state.refused", why=exc)


def test_of_an_error_that_nobody_foresaw_people_are_told_nothing_of_our_insides() -> None:
    assert words_of(KeyError("hunter2")) == t("state.failed")
