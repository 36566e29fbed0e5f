"""A connection to PostgreSQL that is given up where the server holds it and says nothing."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy import event, text

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from sqlalchemy import Connection, Engine

RV = TypeVar("RV")

# The server's own bound of a statement, where nobody gave it one: below the client's, so that it stops and says so.
_STATEMENT_MS = 15_000
_BOUND = (
    f"SELECT set_config('statement_timeout', '{_STATEMENT_MS}', false) WHERE current_setting('statement_timeout') = '0'"
)


class HeardConnection(psycopg.Connection[Any]):
    """Raises OperationalError, and is closed, once the server said nothing for `silence_s` while it was asked.

    A machine or a server that is stopped keeps its sockets: its kernel answers every probe, so that no TCP timeout ends
    the wait.
    """

    silence_s: float | None = None  # None: it may take as long as it likes

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """As psycopg's: everything that is asked on the connection goes through here."""
        return super().wait(self._heard(gen), *args, **kwargs)

    def _heard(self, gen: PQGen[RV]) -> Generator[Any, Any, RV]:
        heard_at = time.monotonic()
        ready = None
        while True:
            try:
                wanted = gen.send(ready)  # type: ignore[arg-type] # None begins it
            except StopIteration as done:
                result: RV = done.value
                return result
            ready = yield wanted  # nothing, now and then, while nothing comes
            if ready:
                heard_at = time.monotonic()
            elif self.silence_s is not None and time.monotonic() - heard_at >= self.silence_s:
                self.close()
                raise psycopg.OperationalError(f"the server said nothing for {self.silence_s:g} s")


def bound_answers(engine: Engine, silence_s: float) -> None:
    """Its connections are HeardConnections from now on."""

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, cargs: tuple[Any, ...], cparams: dict[str, Any]) -> HeardConnection:
        made = HeardConnection.connect(*cargs, **cparams)
        made.silence_s = silence_s
        try:
            made.execute(_BOUND.encode())
            made.commit()
        except psycopg.Error:
            made.close()
            raise
        return made


@contextmanager
def unbounded(connection: Connection) -> Iterator[None]:
    """What is done inside, in one transaction, may take as long as it likes: an index of a large table does."""
    raw: Any = connection.connection.driver_connection
    bound, raw.silence_s = raw.silence_s, None
    try:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        yield
    finally:
        raw.silence_s = bound
