"""What every layer shares: a skip that nobody announced fails the run; the watch for what is promised in seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stopwatch import Stopwatch

ALLOWED_SKIPS = ("../shared is absent", "no GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    """A skip other than for a GPU or absent shared data hides a test that should have run."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped, and may not be: {reason} (allowed: {', '.join(ALLOWED_SKIPS)})"
    return report


@pytest.fixture
def stopwatch() -> Iterator[Stopwatch]:
    """It runs; `restart` where the time that is promised begins."""
    with Stopwatch() as watch:
        yield watch
