"""What there is to say about a page."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config import RaylineConfig
from pipeline.config_checks import review
from pipeline.config_errors import dotted
from pipeline.config_findings import Severity
from pipeline.dashboard.settings import DashboardSettings

KEPT = {"history": {"data_dir": "/tmp"}}
EVERYWHERE = "0.0.0.0"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"dashboard": {}} | KEPT, {}, id="on this machine"),
        pytest.param({"dashboard": {}}, {"dashboard": Severity.WARNING}, id="nothing to show"),
        pytest.param(
            {"dashboard": {"host": EVERYWHERE}} | KEPT,
            {"dashboard.host": Severity.WARNING},
            id="others log in in clear",
        ),
        pytest.param(
            {"dashboard": {"host": EVERYWHERE, "trusted_proxies": ["10.0.0.0/8"]}} | KEPT, {}, id="behind a proxy"
        ),
        pytest.param(
            {"dashboard": {"port": 8000}, "api": {"port": 8000}} | KEPT,
            {"dashboard.port": Severity.ERROR},
            id="two on one port",
        ),
    ],
)
def test_what_is_told_of_a_page(settings: dict[str, Any], told: dict[str, Severity]) -> None:
    found = review(RaylineConfig.model_validate(settings))
    assert {dotted(f.problem.path): f.severity for f in found if "dashboard" in dotted(f.problem.path)} == told


def test_a_page_is_open_to_this_machine_alone_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="needs a host that is this machine alone"):
        DashboardSettings(host=EVERYWHERE, open_to_loopback=True)
    page = "Page: http://127.0.0.1:8080"
    assert DashboardSettings(open_to_loopback=True).told == f"{page} (open to everybody on this machine)"
    assert DashboardSettings().told == f"{page} (log in with a key of `rayline token`)"
