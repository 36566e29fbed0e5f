"""What the pages share: a history that is looked for when somebody asks, and answers that many are given."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.config import RaylineConfig
from pipeline.dashboard.services import Services
from pipeline.dashboard.settings import DashboardSettings
from pipeline.history.database import HistoryUnavailable
from pipeline.history.gallery import lines_in
from pipeline.history.settings import HistorySettings
from tests.unit.history.parts import history, put, row


def services(settings: HistorySettings) -> Services:
    return Services(RaylineConfig(history=settings), DashboardSettings())


async def test_a_history_that_is_made_later_is_found_and_none_is_made_here(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    asked = services(HistorySettings(data_dir=folder))
    with pytest.raises(HistoryUnavailable, match="not made yet"):
        await asked.query(lines_in)
    assert not folder.exists()
    folder.mkdir()
    with history(folder) as made:
        put(made, row(1))
        assert await asked.query(lines_in) == ["l1"]
    await asked.close()


async def test_a_password_that_cannot_be_read_is_a_history_that_is_away(tmp_path: Path) -> None:
    address = SecretStr("postgresql://rayline:hunter2@db.example:5432/history")
    asked = services(HistorySettings(url=address, password_file=tmp_path / "gone"))
    with pytest.raises(HistoryUnavailable, match="No such file"):
        await asked.query(lines_in)
    assert asked.history_address == "rayline:***@db.example:5432/history"
