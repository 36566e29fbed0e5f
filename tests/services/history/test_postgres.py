"""A history in PostgreSQL."""

import pytest

from tests.unit.history.promises import Promises

pytestmark = pytest.mark.services


class TestOnPostgres(Promises):
    pass
