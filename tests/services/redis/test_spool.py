"""A track replica whose Redis goes away: live results wait on disk, and are stored once, in order, when it is there."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.answers import BatchAnswer, CameraAnswer, Outcome
from pipeline.deployments import spooling
from pipeline.deployments.track import TrackDeployment
from pipeline.observe.metrics import Metrics
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.late_writes import LOST_BY_REDIS, SUPERSEDED, store
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams, WriteStatus
from pipeline.sinks.spool import Entry, Loose, Spool, Spooled, SpoolFull
from pipeline.sinks.spool_settings import SpoolSettings
from pipeline.sinks.storage_thread import StorageSlow
from stages.values import CameraId
from tests.fakes import RecordingMeter
from tests.redis_server import BINARIES, RedisServer, redis_server
from tests.services.redis.test_track_replica import SHARD, A, B, batch, jobs, outcomes
from tests.services.redis.writes import EPOCH, kafka, live, stored_ids, write
from tests.stopwatch import Stopwatch
from tests.unit.deployments.test_tracked_camera import seen

pytestmark = pytest.mark.services

LINE = "l"
both_versions = pytest.mark.parametrize("version", list(BINARIES))
Make = Callable[..., TrackDeployment]


@pytest.fixture
def meter() -> RecordingMeter:
    return RecordingMeter()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "ROUND_S", 0.1)
    monkeypatch.setattr(spooling, "LOOK_FOR_LEFT_S", 0.1)


@pytest.fixture
async def make(tmp_path: Path, meter: RecordingMeter) -> AsyncIterator[Make]:
    """Makes a track replica with a spool; it is closed behind the test."""
    made = []

    def replica(server: RedisServer, folder: str = "spool", **settings: Any) -> TrackDeployment:
        patient = {"patience_s": 20, "write_timeout_s": 20}  # a busy machine is no Redis and no disk that hangs
        spool = SpoolSettings.model_validate({"dir": tmp_path / folder, **patient, **settings})
        subject = TrackDeployment(hasty(server), None, 10.0, {}, None, spool, Metrics(meter))
        made.append(subject)
        return subject

    yield replica
    for subject in made:
        await subject.close()


def hasty(server: RedisServer) -> RedisSettings:
    return RedisSettings(url=server.url, deadline_s=30.0, answer_timeout_s=30.0, retries=0)


async def send(track: TrackDeployment, *seqs: int, epoch: int = 7, cameras: tuple[CameraId, ...] = (A,)) -> BatchAnswer:
    frames = [(camera, seen(seq, epoch=epoch)) for seq in seqs for camera in cameras]
    return await track(*batch(*frames), jobs(LINE, *cameras))


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(3000):
        if is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not so within 60 s")


async def until_stored(track: TrackDeployment, *cameras: CameraId) -> None:
    assert track._spool is not None
    spool, owners = track._spool, [(LINE, camera) for camera in cameras or (A,)]
    await until(lambda: not (spool.away or set(owners) & set(spool._ledger.owners())))


async def told(server: RedisServer, kind: str = "detections", camera: CameraId = A) -> list[dict[str, Any]]:
    async with StreamReader(hasty(server)) as reader:
        key = getattr(camera_keys(LINE, camera), kind)
        return [orjson.loads(entry.data) for entry in await reader.read(key, count=100_000)]


async def seqs(server: RedisServer, camera: CameraId = A) -> list[int]:
    return [message["seq"] for message in await told(server, camera=camera)]


async def system_events(server: RedisServer, camera: CameraId = A) -> list[dict[str, Any]]:
    return [each["data"] for each in await told(server, "events", camera) if each["kind"] == "system"]


def added(answers: list[BatchAnswer], camera: CameraId = A) -> CameraAnswer:
    its = [answer.cameras[camera] for answer in answers]
    lost: dict[str, int] = {}
    for each in its:
        lost.update({reason: lost.get(reason, 0) + n for reason, n in each.late_lost.items()})
    return replace(its[-1], published=sum(a.published for a in its), late=sum(a.late for a in its), late_lost=lost)


@contextmanager
def frozen(server: RedisServer) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@both_versions
async def test_a_redis_that_was_killed_for_a_while_costs_a_live_camera_nothing(
    version: str, tmp_path: Path, make: Make, meter: RecordingMeter, stopwatch: Stopwatch
) -> None:
    with redis_server(tmp_path, version, keep=True) as server:
        track = make(server)
        answers = [await send(track, n, cameras=(A, B)) for n in range(5)]
        server.kill()
        slowest_s = 0.0
        for n in range(5, 45):
            stopwatch.restart()
            answers.append(await send(track, n, cameras=(A, B)))
            slowest_s = max(slowest_s, stopwatch.seconds)
        assert {answer.cameras[A].outcome for answer in answers[5:]} == {Outcome.SPOOLED}
        assert slowest_s < 1.0
        assert answers[-1].cameras[A].waiting == 40
        server.start()
        for n in range(45, 60):
            answers.append(await send(track, n, cameras=(A, B)))
        await until_stored(track, A, B)
        answers.append(await send(track, 60, cameras=(A, B)))
        assert outcomes(answers[-1]) == {A: Outcome.PUBLISHED, B: Outcome.PUBLISHED}
        for camera in (A, B):
            assert await seqs(server, camera) == list(range(61))
            assert sum(len(each["dropped_since_last"]) for each in await told(server, camera=camera)) == 0
        total = added(answers)
        assert (total.published + total.late, total.waiting, total.late_lost) == (61, 0, {})
        assert track._spool is not None
        assert track._spool.news((LINE, A)) is None
        begin, end = await system_events(server)
        assert (begin["what"], end["what"], begin["since"]) == ("spooling", "spool_drained", end["since"])
        assert (end["frames_waited"], end["frames_dropped"]) == (total.late, {})
        ids = [message["objects"][0]["id"] for message in await told(server)]
        assert len(set(ids) - {None}) == 1
    assert meter.total("rayline_spool_drained", camera=A) == total.late
    assert meter.total("rayline_frames_published", camera=A) == total.late  # the others are told by the reader
    assert meter.total("rayline_frames_dropped") == 0
    assert max(meter.values("rayline_spool_frames", shard=SHARD)) > 0
    assert meter.values("rayline_spool_frames", shard=SHARD)[-1] == 0


@both_versions
async def test_a_redis_that_hangs_holds_no_frame_for_longer_than_the_patience(
    version: str, tmp_path: Path, make: Make, stopwatch: Stopwatch
) -> None:
    with redis_server(tmp_path, version) as server:
        track = make(server, patience_s=0.1)
        await send(track, 0)
        with frozen(server):
            for n in range(1, 10):
                stopwatch.restart()
                assert outcomes(await send(track, n)) == {A: Outcome.SPOOLED}
                assert stopwatch.seconds < 0.9  # 30 s where it waits for Redis
        await until_stored(track)
        await send(track, 10)
        assert await seqs(server) == list(range(11))  # the write that was given up may have landed: not twice


async def test_what_is_new_never_passes_what_waits(tmp_path: Path, make: Make) -> None:
    with redis_server(tmp_path, keep=True) as server:
        track = make(server, drain_frames_per_s=150)
        await send(track, 0)
        server.kill()
        for n in range(1, 100):
            await send(track, n)
        server.start()
        later = []
        for n in range(100, 130):
            later.append(outcomes(await send(track, n))[A])
            await asyncio.sleep(0.02)
        await until_stored(track)
        assert Outcome.SPOOLED in later
        assert await seqs(server) == list(range(130))


async def test_another_cameras_fresh_frames_go_past_a_long_backlog(tmp_path: Path, make: Make) -> None:
    with redis_server(tmp_path, keep=True) as server:
        track = make(server, drain_frames_per_s=100)
        await send(track, 0, cameras=(A, B))
        server.kill()
        for n in range(1, 80):
            await send(track, n)
        server.start()
        assert track._spool is not None
        spool = track._spool
        await until(lambda: not spool.away)
        assert outcomes(await send(track, 150, cameras=(B,))) == {B: Outcome.PUBLISHED}
        assert spool.holds((LINE, A))
        await until_stored(track)
        assert await seqs(server) == list(range(80))


async def test_a_spool_that_is_too_small_loses_the_oldest_counted_and_told(
    tmp_path: Path, make: Make, meter: RecordingMeter
) -> None:
    with redis_server(tmp_path, keep=True) as server:
        track = make(server, max_bytes=100_000)
        answers = [await send(track, 0)]
        server.kill()
        answers += [await send(track, n) for n in range(1, 200)]
        server.start()
        await until_stored(track)
        answers += [await send(track, n) for n in (200, 201)]
        stored = await seqs(server)
        lost = 202 - len(stored)
        assert lost > 0
        assert stored == [0, *range(lost + 1, 202)]
        assert added(answers).late_lost == {"spool_full": lost}
        messages = await told(server)
        assert sum(m["dropped_since_last"].get("spool_full", 0) for m in messages) <= lost  # some words went with them
        assert messages[-1]["dropped_since_last"] == {}
        assert (await system_events(server))[-1]["frames_dropped"] == {"spool_full": lost}
    assert meter.total("rayline_frames_dropped", camera=A, reason="spool_full") == lost


async def test_a_killed_replicas_successor_goes_on_from_what_it_left_and_stores_it(tmp_path: Path, make: Make) -> None:
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from pipeline.deployments.track import TrackDeployment
from pipeline.sinks.redis_streams import RedisSettings
from pipeline.sinks.spool_settings import SpoolSettings
from tests.services.redis.test_spool import send

async def main():
    redis = RedisSettings(url=sys.argv[1], deadline_s=1.0, retries=0)
    track = TrackDeployment(redis, None, 10.0, {}, None, SpoolSettings(dir=Path(sys.argv[2])))
    for n in range(30):
        if n == 5:
            os.kill(int(sys.argv[3]), signal.SIGKILL)
        await send(track, n)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    with redis_server(tmp_path, keep=True) as server:
        command = [sys.executable, "-c", script, server.url, str(tmp_path / "spool"), str(server.pid)]
        ended = await asyncio.to_thread(subprocess.run, command, timeout=60, check=False)
        assert ended.returncode == -signal.SIGKILL
        server.kill()  # is dead: reaped
        track = make(server)
        answers = [await send(track, n) for n in range(30, 40)]
        assert {answer.cameras[A].outcome for answer in answers} == {Outcome.SPOOLED}
        server.start()
        await send(track, 40)
        await until_stored(track)
        await send(track, 41)
        assert await seqs(server) == list(range(42))
        assert len({message["objects"][0]["id"] for message in await told(server)} - {None}) == 1


async def test_a_successor_without_a_checkpoint_waits_for_redis_and_its_frames_are_counted(
    tmp_path: Path, make: Make
) -> None:
    with redis_server(tmp_path) as server:
        with Spool(tmp_path / "spool" / f"{SHARD}.db", SpoolSettings()) as left:
            left.append([Entry(write(LINE, None, live(1, 7), camera=A))], time.time())
        server.kill()
        track = make(server)
        answer = (await send(track, 2)).cameras[A]
        assert (answer.outcome, answer.keeps_count) == (Outcome.UNAVAILABLE, False)
        server.start()
        await until_stored(track)
        assert outcomes(await send(track, 3)) == {A: Outcome.PUBLISHED}
        assert (await stored_ids(hasty(server), LINE, A))[0][0] == live(1, 7)


@contextmanager
def slow_disk(track: TrackDeployment) -> Iterator[None]:
    """Inside, the disk gives no answer; it is asked again at once behind it."""
    assert track._spool is not None
    thread, thaw = track._spool._disk._thread, threading.Event()
    thread._pause_s = 0.0
    with pytest.raises(StorageSlow):
        thread.call(lambda: thaw.wait(30))
    try:
        yield
    finally:
        thaw.set()
        assert thread._late is not None
        thread._late.result(60)


async def test_a_successor_waits_for_a_disk_that_is_slow_to_say_what_waits_there(tmp_path: Path, make: Make) -> None:
    with redis_server(tmp_path) as server:
        with Spool(tmp_path / "spool" / f"{SHARD}.db", SpoolSettings()) as left:
            left.append([Entry(write(LINE, None, live(1, 7), camera=A))], time.time())
        track = make(server, write_timeout_s=0.1)
        with slow_disk(track):
            assert outcomes(await send(track, 2)) == {A: Outcome.UNAVAILABLE}
        await send(track, 3)
        await until_stored(track)
        answer = await send(track, 4)
        assert answer.cameras[A].late_lost == {}
        ids = (await stored_ids(hasty(server), LINE, A))[0]
        assert (len(ids), ids[0]) == (3, live(1, 7))


async def test_a_disk_that_never_says_what_waits_there_holds_nobody_back_for_good(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "GIVE_UP_S", 0.3)
    with redis_server(tmp_path) as server:
        track = make(server, write_timeout_s=0.1)
        with slow_disk(track):
            assert outcomes(await send(track, 2)) == {A: Outcome.UNAVAILABLE}
            await asyncio.sleep(0.3)
            assert outcomes(await send(track, 3)) == {A: Outcome.PUBLISHED}


async def test_frames_that_a_slow_disk_did_not_take_are_lost_once_and_hide_none_behind_them(
    tmp_path: Path, make: Make
) -> None:
    with redis_server(tmp_path, keep=True) as server:
        track = make(server, write_timeout_s=1.0)
        await send(track, 0)
        server.kill()
        answers = [await send(track, 1)]
        assert track._spool is not None
        track._spool._disk._thread._pause_s = 0.0  # also for what waits behind the one that hangs
        spool, begun, thaw = track._spool._disk._files.spool(SHARD), threading.Event(), threading.Event()
        make_room = spool._make_room

        def slow(needed: int) -> Any:
            begun.set()
            thaw.wait(30)
            return make_room(needed)

        spool._make_room = slow  # type: ignore[method-assign]
        answers.append(await send(track, 2))
        assert begun.is_set()
        assert (answers[-1].cameras[A].outcome, answers[-1].cameras[A].keeps_count) == (Outcome.UNAVAILABLE, True)
        thaw.set()
        late = track._spool._disk._thread._late
        assert late is not None
        await until(late.done)
        answers += [await send(track, n) for n in range(3, 6)]
        server.start()
        await until_stored(track)
        answers.append(await send(track, 6))
        assert await seqs(server) == [0, 1, 3, 4, 5, 6]
        assert added(answers).late_lost == {}
        dropped = sum((Counter(m["dropped_since_last"]) for m in await told(server)), Counter[str]())
        assert dropped == {"sink_unavailable": 1}


async def test_what_is_stored_and_cannot_be_removed_is_counted_once_and_not_stored_again(
    tmp_path: Path, make: Make, meter: RecordingMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, failed = Spool.remove, 0

    def failing(spool: Spool, ids: Sequence[int]) -> None:
        nonlocal failed
        failed += 1
        if failed <= 2:
            raise SpoolFull("no room for the log")
        remove(spool, ids)

    monkeypatch.setattr(Spool, "remove", failing)
    with redis_server(tmp_path, keep=True) as server:
        track = make(server)
        answers = [await send(track, 0)]
        server.kill()
        answers += [await send(track, n) for n in range(1, 6)]
        assert track._spool is not None
        word = orjson.dumps({"message_id": "word", "kind": "zone"})
        await track._spool.put(SHARD, [Entry(Loose(A, LINE, [word]))])
        server.start()
        await until_stored(track)
        answers.append(await send(track, 6))
        assert failed == 3
        assert (await stored_ids(hasty(server), LINE, A))[1].count("word") == 1
        assert await seqs(server) == list(range(7))
        total = added(answers)
        assert (total.late, total.late_lost) == (5, {})
        last = (await system_events(server))[-1]
        assert (last["what"], last["frames_waited"], last["frames_dropped"]) == ("spool_drained", 5, {})
    assert meter.total("rayline_spool_drained", camera=A) == 5


async def test_a_spool_that_nobody_runs_any_more_is_stored_by_whoever_finds_it(tmp_path: Path, make: Make) -> None:
    with redis_server(tmp_path) as server:
        with Spool(tmp_path / "spool" / "renamed-live-1.db", SpoolSettings()) as left:
            left.append([Entry(write(LINE, None, live(n), camera="old")) for n in (1,)], time.time())
        track = make(server)
        await send(track, 0)
        await until(lambda: not (tmp_path / "spool" / "renamed-live-1.db").exists())
        assert (await stored_ids(hasty(server), LINE, "old"))[0] == [live(1)]


async def test_a_zombies_spool_is_left_to_it_and_its_successor_does_without(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path, keep=True) as server:
        zombie, track = make(server), make(server)
        await send(zombie, 0)
        server.kill()
        assert outcomes(await send(zombie, 1)) == {A: Outcome.SPOOLED}
        assert outcomes(await send(track, 2)) == {A: Outcome.UNAVAILABLE}
        assert "another process has it" in caplog.text
        server.start()
        await until_stored(zombie)
        await until_stored(track)
        assert outcomes(await send(track, 3)) == {A: Outcome.PUBLISHED}
        assert outcomes(await send(zombie, 4)) == {A: Outcome.CONFLICT}
        assert await seqs(server) == [0, 1, 3]


async def test_a_file_that_cannot_be_read_any_more_holds_fresh_frames_back_only_for_a_while(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "GIVE_UP_S", 0.5)
    with redis_server(tmp_path, keep=True) as server:
        track = make(server)
        await send(track, 0)
        server.kill()
        answers = [await send(track, n) for n in range(1, 4)]
        assert track._spool is not None
        await track._spool._disk._do(lambda: track._spool._disk._files.close(SHARD))  # type: ignore[union-attr]
        with Spool(tmp_path / "spool" / f"{SHARD}.db", SpoolSettings()):
            server.start()
            await until_stored(track)
            answers += [await send(track, n) for n in range(4, 6)]
            assert outcomes(answers[-1]) == {A: Outcome.PUBLISHED}
        await until(lambda: not (tmp_path / "spool" / f"{SHARD}.db").exists())
        await until_stored(track)
        answers.append(await send(track, 6))
        assert await seqs(server) == [0, 4, 5, 6]
        assert added(answers).late_lost == {SUPERSEDED: 3}


async def test_what_another_writer_overtook_is_dropped_and_told(
    tmp_path: Path, make: Make, meter: RecordingMeter
) -> None:
    """The shard had moved to another machine, which could reach Redis sooner."""
    with redis_server(tmp_path, keep=True) as server:
        here, there = make(server, "here"), make(server, "there")
        await send(here, 0)
        server.kill()
        answers = [await send(here, n) for n in range(1, 5)]
        assert here._spool is not None
        here._spool.gone_away = lambda: None  # type: ignore[method-assign]
        task, here._spool._task = here._spool._task, None
        assert task is not None
        task.cancel()
        server.start()
        await send(there, 0, epoch=8)
        here._spool.start()
        await until_stored(here)
        answers.append(await send(here, 5))
        assert outcomes(answers[-1]) == {A: Outcome.CONFLICT}
        assert added(answers).late_lost == {SUPERSEDED: 4}
        answers = [await send(here, n, epoch=9) for n in range(2)]
        assert outcomes(answers[-1]) == {A: Outcome.PUBLISHED}
        messages = await told(server)
        assert [int(m["source"]["position"].split("|")[1]) for m in messages] == [7, 8, 9, 9]
        assert messages[2]["dropped_since_last"] == {SUPERSEDED: 4}
        assert (await system_events(server))[-1]["frames_dropped"] == {SUPERSEDED: 4}
    assert meter.total("rayline_frames_dropped", camera=A, reason=SUPERSEDED) == 4


@pytest.mark.parametrize("wiped", [False, True], ids=["rolled back", "wiped"])
@pytest.mark.parametrize("spools", [False, True], ids=["while it was there", "while it was away"])
async def test_a_redis_that_lost_its_tail_costs_a_live_camera_no_more_than_that(
    tmp_path: Path, make: Make, meter: RecordingMeter, wiped: bool, spools: bool
) -> None:
    with redis_server(tmp_path, keep=True) as server:
        track = make(server, patience_s=1.0)
        client = connect(hasty(server))
        keys = camera_keys(LINE, A)
        await send(track, 0)
        before = {key: await client.dump(key) for key in (keys.cursor, keys.detections)}
        answers = [await send(track, n) for n in range(1, 4)]
        if spools:
            with frozen(server):
                answers += [await send(track, n) for n in range(4, 8)]
                assert track._spool is not None
                task, track._spool._task = track._spool._task, None
                assert task is not None
                task.cancel()
            await asyncio.sleep(0.1)  # what it read off its socket is done
        await client.delete(*keys)
        if not wiped:
            for key, dump in before.items():
                await client.restore(key, 0, dump)
        if spools:
            assert track._spool is not None
            track._spool.start()
            await until_stored(track)
        answers += [await send(track, n) for n in range(8, 10)]
        await client.aclose()
        kept = [] if wiped else [0]
        assert await seqs(server) == [*kept, *([4, 5, 6, 7] if spools else []), 8, 9]
        assert {a.cameras[A].outcome for a in answers} <= {Outcome.PUBLISHED, Outcome.SPOOLED}
        dropped = sum((Counter(m["dropped_since_last"]) for m in await told(server)), Counter[str]())
        assert dropped == {LOST_BY_REDIS: 4 if wiped else 3}
        assert added(answers).late_lost == dropped
        if spools:
            assert (await system_events(server))[-1]["frames_dropped"] == dropped
    assert meter.total("rayline_frames_dropped", camera=A, reason=LOST_BY_REDIS) == dropped[LOST_BY_REDIS]


async def test_a_live_cameras_last_words_wait_on_disk(tmp_path: Path, make: Make) -> None:
    with redis_server(tmp_path, keep=True) as server:
        track = make(server)
        await send(track, 0, cameras=(A, B))
        server.kill()
        answer = await track(*batch((A, seen(1)), over=(A,)), jobs(LINE, A))
        assert outcomes(answer) == {A: Outcome.SPOOLED}
        await track.close()
        server.start()
        successor = make(server)
        await send(successor, 1, cameras=(B,))
        await until_stored(successor)
        states = [each["data"].get("state") for each in await told(server, "events")]
        assert states[:2] == [None, "ended"]
        assert await seqs(server) == [0, 1]


async def test_where_no_spool_can_be_had_frames_are_lost_counted_and_told(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("in the way")
    with redis_server(tmp_path, keep=True) as server:
        track = make(server)
        await send(track, 0)
        server.kill()
        for n in range(1, 4):
            answer = (await send(track, n)).cameras[A]
            assert (answer.outcome, answer.keeps_count) == (Outcome.UNAVAILABLE, True)
        server.start()
        await until_stored(track)
        await send(track, 4)
        (last,) = (await told(server))[1:]
        assert last["dropped_since_last"] == {"sink_unavailable": 3}
        assert [data["frames_lost"] for data in await system_events(server)] == [3]
    assert [r.levelname for r in caplog.records if "it cannot be used" in r.message] == ["ERROR"]


async def test_a_damaged_spool_is_set_aside_reported_and_a_new_one_begun(
    tmp_path: Path, make: Make, meter: RecordingMeter, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / f"{SHARD}.db").write_bytes(b"no database" * 1000)
    with redis_server(tmp_path, keep=True) as server:
        track = make(server)
        await send(track, 0)
        server.kill()
        assert outcomes(await send(track, 1)) == {A: Outcome.SPOOLED}
        server.start()
        await until_stored(track)
        assert await seqs(server) == [0, 1]
        (aside,) = (tmp_path / "spool").glob("*.corrupt-*")
        assert (await system_events(server))[0]["set_aside"] == aside.name
    assert meter.total("rayline_spool_set_aside", shard=SHARD) == 1
    assert [r.levelname for r in caplog.records if "set aside as" in r.message] == ["ERROR"]


def spooled(*writes: CameraWrite) -> list[Spooled]:
    return [Spooled(n, 0.0, Entry(each)) for n, each in enumerate(writes)]


async def test_late_writes_of_two_writers_are_stored_once_whoever_comes_first(
    settings: RedisSettings, line: str
) -> None:
    """A writes, B takes over, A comes back with what it had kept: the compare-and-set lets one of them through."""
    async with RedisStreams(settings) as a, RedisStreams(settings) as b:
        await a.write([write(line, None, live(8))])
        kept = spooled(write(line, live(8), live(16)), write(line, live(16), live(24)), write(line, live(24), live(32)))
        assert [o.status for o in await b.write([write(line, live(8), live(20))])] == [WriteStatus.WRITTEN]
        fate = await store(a, kept)
        # 16 lies before what B wrote, 24 was built on what B never saw: only what is new to Redis goes behind it.
        assert dict(fate.lost) == {(line, "cam"): {SUPERSEDED: 2}}
        assert (fate.done, fate.stored[line, "cam"]) == ([0, 1, 2], 1)
        assert [o.status for o in await b.write([write(line, live(20), live(28))])] == [WriteStatus.ALREADY]
        assert await store(a, kept) != fate  # sent again: nothing more is written
    assert (await stored_ids(settings, line))[0] == [live(8), live(20), live(32)]


async def test_a_late_write_that_landed_though_it_was_given_up_hides_none_behind_it(
    settings: RedisSettings, line: str
) -> None:
    """Who gave it up built what came then on what was there before it."""
    kept = spooled(write(line, live(8), live(16)), write(line, live(8), live(24)), write(line, live(24), live(32)))
    async with RedisStreams(settings) as streams:
        await streams.write([write(line, None, live(8))])
        fate = await store(streams, kept)
    assert (fate.done, fate.stored[line, "cam"], fate.lost) == ([0, 1, 2], 3, {})
    assert (await stored_ids(settings, line))[0] == [live(n) for n in (8, 16, 24, 32)]


@pytest.mark.parametrize("stored", [live(0, EPOCH + 1), kafka(5)], ids=["a newer epoch", "another source"])
async def test_late_writes_are_fenced(settings: RedisSettings, line: str, stored: str) -> None:
    async with RedisStreams(settings) as streams:
        await streams.write([write(line, None, stored)])
        fate = await store(streams, spooled(write(line, live(8), live(16)), write(line, live(16), live(24))))
    assert fate.lost == {(line, "cam"): {SUPERSEDED: 2}}
    assert (await stored_ids(settings, line))[0] == [stored]


async def test_late_writes_whose_answer_was_lost_are_stored_once_and_counted_once(
    settings: RedisSettings, line: str
) -> None:
    kept = spooled(*(write(line, live(n - 8), live(n)) for n in range(8, 80, 8)))
    async with RedisStreams(settings) as streams:
        first, again = await store(streams, kept), await store(streams, kept)
    assert first.tail == {(line, "cam"): 1}  # the first is built on one that Redis does not have
    assert again == replace(first, tail={})
    assert first.stored[line, "cam"] == len(kept)
    assert (await stored_ids(settings, line))[0] == [live(n) for n in range(8, 80, 8)]
