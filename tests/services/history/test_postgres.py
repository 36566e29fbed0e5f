"""A history in PostgreSQL, and a PostgreSQL that goes away."""

from __future__ import annotations

import asyncio
import logging

import pytest
from pydantic import SecretStr

from pipeline.history.database import Database, database_url
from pipeline.history.migrate import open_history
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import events
from tests.postgres_server import postgres_server
from tests.services.history.rig import Line, collector_of, eventually, running
from tests.unit.history.books import count
from tests.unit.history.promises import Promises

pytestmark = pytest.mark.services


class TestOnPostgres(Promises):
    pass


async def test_a_database_that_is_away_is_waited_for_and_told_once(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipeline.history")
    with postgres_server() as server:
        url = server.database().replace("postgres@", "postgres:s3cret-w0rd@")
        db: Database = open_history(database_url(HistorySettings(url=SecretStr(url))))
        server.kill()
        await line.publish(*line.messages(5))
        async with running(collector_of(line, db)) as collector:
            await eventually(lambda: collector.status().state == "waiting")
            server.start()
            await eventually(lambda: collector.status().written > 0)
            server.kill()
            await line.publish(*line.messages(5, first=5))
            await eventually(lambda: collector.status().state == "waiting")
            await asyncio.sleep(0.5)
            server.start()
            await eventually(lambda: collector.status().state == "running")
            await eventually(lambda: count(db, events) == 10)
        db.close()
    told = [record.getMessage() for record in caplog.records if "the history" in record.getMessage()]
    assert len(told) == 4
    assert "s3cret" not in caplog.text
