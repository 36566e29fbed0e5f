"""A thread of its own for storage that may block: callers wait so long and no longer, and leave it alone after."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Full, Queue
from typing import Generic, TypeVar

from pipeline.sinks.errors import SinkError

logger = logging.getLogger(__name__)

PAUSE_S = 10.0
MOST_WAITING = 16

T = TypeVar("T")
_Job = tuple[Callable[[], T], "Future[T]"]


class StorageSlow(SinkError):
    """Storage gave no answer in time, or is being left alone because it did not; the text says which."""


class StorageThread(Generic[T]):
    """Runs one job after another on a daemon thread: a process may end though storage hangs.

    After a job that was not done in time, calls fail at once for `pause_s`, and for as long as that job hangs.
    """

    def __init__(self, name: str, timeout_s: float, pause_s: float = PAUSE_S) -> None:
        self.timeout_s = timeout_s
        self._pause_s = pause_s
        self._jobs: Queue[_Job[T] | None] = Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._late: Future[T] | None = None
        self._closed_until = 0.0  # monotonic
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, job: Callable[[], T]) -> T:
        """The job's answer within `timeout_s`. Raises StorageSlow, or what the job raised."""
        future = self.submit(job)
        try:
            return future.result(self.timeout_s)
        except TimeoutError:
            return self.give_up(future)

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Have the job done behind those before it. Who does not get its answer in `timeout_s` is to `give_up`."""
        self._check()
        future: Future[T] = Future()
        try:
            self._jobs.put_nowait((job, future))
        except Full:
            raise StorageSlow(f"storage is behind: {MOST_WAITING} writes wait for it already") from None
        return future

    def give_up(self, future: Future[T]) -> T:
        """Wait no longer. Raises StorageSlow; answers, or raises, as the job did where that was done just now."""
        if future.done():
            return future.result()
        self._rest(future)
        raise StorageSlow(f"no answer within {self.timeout_s} s") from None

    def is_given_up(self) -> bool:
        """For the job that runs: True once nobody waits for it, and nothing it does is known to be done."""
        with self._lock:
            return self._late is not None and not self._late.done()

    def close(self, timeout_s: float) -> None:
        """Let what waits be done, at most `timeout_s`, and end the thread."""
        deadline = time.monotonic() + timeout_s
        try:
            self._jobs.put(None, timeout=timeout_s)
        except Full:
            logger.warning("storage still hangs: what waits for it is left")
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _check(self) -> None:
        with self._lock:
            if self._late is not None and not self._late.done():
                raise StorageSlow("storage is left alone: an earlier write still hangs")
            left_s = self._closed_until - time.monotonic()
        if left_s > 0:
            raise StorageSlow(f"storage is left alone for {left_s:.0f} s more: it gave no answer in time")

    def _rest(self, late: Future[T]) -> None:
        with self._lock:
            self._closed_until = time.monotonic() + self._pause_s
            if not late.cancel():  # it runs; one that only waited is not run any more
                self._late = late

    def _run(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, future = given
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as exc:  # it is the caller's, who waits for it in `call`
                future.set_exception(exc)
            del job, future, given  # a picture is not held until the next one comes
