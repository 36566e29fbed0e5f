"""A history of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.history.database import Database
from tests.unit.history.books import empty_sqlite


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    made = empty_sqlite(tmp_path)
    yield made
    made.close()
