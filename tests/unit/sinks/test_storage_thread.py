"""A caller waits so long for storage and no longer, whatever hangs."""

import threading
from collections.abc import Iterator

import pytest

from pipeline.sinks.storage_thread import MOST_WAITING, StorageSlow, StorageThread


@pytest.fixture
def thaw() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_job_is_answered_or_raises_what_it_raised() -> None:
    storage = StorageThread[int]("t", 5)
    assert storage.call(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        storage.call(lambda: 1 // 0)
    storage.close(5)


def test_a_timeout_of_the_storages_own_is_told_as_its_own() -> None:
    def job() -> int:
        raise TimeoutError("read timed out")

    storage = StorageThread[int]("t", 5)
    with pytest.raises(TimeoutError, match="read timed out"):
        storage.call(job)
    assert storage.call(lambda: 1) == 1
    storage.close(5)


def test_after_a_miss_storage_rests_and_is_then_used_again(thaw: threading.Event) -> None:
    storage = StorageThread[bool]("t", 0.02, pause_s=0.0)
    with pytest.raises(StorageSlow, match=r"no answer within 0\.02 s"):
        storage.call(lambda: thaw.wait(30))
    with pytest.raises(StorageSlow, match="still hangs"):
        storage.call(lambda: True)
    late = storage._late
    thaw.set()
    assert late is not None
    assert late.result(60)
    assert storage.submit(lambda: True).result(60)  # by then: 0.02 s are soon over on a busy machine
    storage.close(5)


def test_a_job_learns_that_nobody_waits_for_it_any_more(thaw: threading.Event) -> None:
    storage = StorageThread[bool]("t", 0.02, pause_s=0.0)

    def job() -> bool:
        thaw.wait(30)
        return storage.is_given_up()

    with pytest.raises(StorageSlow):
        storage.call(job)
    late = storage._late
    thaw.set()
    assert late is not None
    assert late.result(60) is True
    assert storage.submit(storage.is_given_up).result(60) is False
    storage.close(5)


def test_an_answer_that_comes_as_it_is_given_up_is_an_answer() -> None:
    storage = StorageThread[int]("t", 5)
    future = storage.submit(lambda: 7)
    future.result(60)
    assert storage.give_up(future) == 7
    storage.close(5)


def test_a_rest_is_told_with_what_is_left_of_it(thaw: threading.Event) -> None:
    storage = StorageThread[bool]("t", 0.02, pause_s=60)
    with pytest.raises(StorageSlow):
        storage.call(lambda: thaw.wait(30))
    thaw.set()
    late = storage._late
    assert late is not None
    late.result(60)
    with pytest.raises(StorageSlow, match="left alone for 60 s more"):
        storage.call(lambda: True)
    storage.close(5)


def test_only_so_many_wait(thaw: threading.Event) -> None:
    storage = StorageThread[bool]("t", 30)
    began = threading.Event()

    def hang() -> bool:
        began.set()
        return thaw.wait(30)

    callers = [threading.Thread(target=storage.call, args=(hang,)) for _ in range(MOST_WAITING + 1)]
    callers[0].start()
    assert began.wait(60)
    for caller in callers[1:]:
        caller.start()
    while not storage._jobs.full():
        pass  # the callers are on their way
    with pytest.raises(StorageSlow, match="storage is behind"):
        storage.call(lambda: True)
    thaw.set()
    for caller in callers:
        caller.join(60)
    storage.close(5)
