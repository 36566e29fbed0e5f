"""A camera's states, reconnects, watchdog and end, on sources that follow a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pipeline.ingest.camera import MOST_HUNG_THREADS, Camera, CameraSettings, CameraState, make_handoff, make_source
from pipeline.ingest.camera_state import ALLOWED, NotAllowed, check_move
from pipeline.ingest.handoff import Handoff, HandoffClosed
from pipeline.ingest.numbering import Numbering, StoredPlace
from pipeline.ingest.source import After, BadFrame, Source, SourceInvalid, SourceLost, SourceRefused
from stages.values import CameraId, EndOfStream, Frame, Position
from tests.fakes import ManualClock, ScriptedSource, source_frame

WAIT_S = 60.0  # bound of every wait; none is ever waited out


class Bench:
    """A camera on scripted sources, with its clocks, its waits and all it said."""

    def __init__(self, sources: Sequence[Source | Exception], live: bool = True, **settings: Any) -> None:
        url = "rtsp://admin:hunter2@cam/1" if live else "clip.mp4"
        settings = {"camera_id": CameraId("cam"), "url": url, "buffer_frames": 100, **settings}
        self.settings = CameraSettings(**settings)
        self.handoff: Handoff = make_handoff(self.settings)
        self.clock, self.wall = ManualClock(100.0), ManualClock(1_700_000_000.0)
        self.delays: list[float] = []
        self.states: list[tuple[CameraState, str]] = []
        self._sources = iter(sources)
        self._moved = threading.Condition()

    def camera(self, **others: Any) -> Camera:
        return Camera(
            self.settings, self.handoff, open_source=self._next, on_state=self._on_state, clock=self.clock,
            wall=self.wall, wait=self._wait, **others,
        )  # fmt: skip

    def _next(self, _settings: CameraSettings) -> Source:
        source = next(self._sources, None)
        if isinstance(source, Exception):
            raise source
        return source or ScriptedSource([], live=True)  # silence

    def _wait(self, cancelled: threading.Event, delay_s: float) -> bool:
        if delay_s:
            self.delays.append(delay_s)
        return cancelled.is_set()

    def _on_state(self, _camera: CameraId, state: CameraState, why: str) -> None:
        with self._moved:
            self.states.append((state, why))
            self._moved.notify_all()

    def until(self, state: CameraState, times: int = 1) -> str:
        """Waits for a state to be entered so many times; the reason given last."""
        with self._moved:
            assert self._moved.wait_for(lambda: self._entered(state) >= times, WAIT_S), self.states
        return [why for entered, why in self.states if entered is state][-1]

    def _entered(self, state: CameraState) -> int:
        return sum(entered is state for entered, _ in self.states)

    def frames(self, count: int) -> list[Frame]:
        items = [self.handoff.take(WAIT_S) for _ in range(count)]
        assert all(isinstance(item, Frame) for item in items), items
        return [item for item in items if isinstance(item, Frame)]


def live(*script: Any, **others: Any) -> ScriptedSource:
    return ScriptedSource(script, live=True, **others)


def hang() -> tuple[Callable[[], None], threading.Event, threading.Event]:
    """A call that does not return; the event says it was entered, the other lets it go."""
    entered, let_go = threading.Event(), threading.Event()

    def call() -> None:
        entered.set()
        assert let_go.wait(WAIT_S)

    return call, entered, let_go


# States


@pytest.mark.parametrize("before", CameraState)
@pytest.mark.parametrize("after", CameraState)
def test_only_the_moves_in_the_table_can_be_made(before: CameraState, after: CameraState) -> None:
    if after in ALLOWED[before]:
        check_move(before, after)
    else:
        with pytest.raises(NotAllowed, match=f"{before} to {after}"):
            check_move(before, after)


def test_nothing_follows_the_end() -> None:
    assert not ALLOWED[CameraState.ENDED]
    assert not ALLOWED[CameraState.FAILED]


def test_a_file_runs_to_its_end_and_the_end_comes_behind_the_last_frame() -> None:
    source = ScriptedSource([source_frame(i) for i in range(3)])
    bench = Bench([source], live=False)
    camera = bench.camera()
    camera.start()
    frames = bench.frames(3)
    assert [f.seq for f in frames] == [0, 1, 2]
    assert [f.follows for f in frames] == [None, frames[0].position, frames[1].position]
    assert bench.handoff.take(WAIT_S) == EndOfStream(CameraId("cam"), 2, "end of stream", frames[2].position)
    with pytest.raises(HandoffClosed):
        bench.handoff.take(WAIT_S)
    assert [state for state, _ in bench.states] == [CameraState.RUNNING, CameraState.ENDED]
    assert camera.stop(WAIT_S)
    assert source.closed == 1


def test_running_is_said_with_the_first_picture_not_with_the_connection() -> None:
    bench = Bench([live()])
    camera = bench.camera()
    camera.start()
    assert camera.status().state is CameraState.CONNECTING
    camera.stop(WAIT_S)


def test_an_address_that_can_never_work_fails_and_its_error_reaches_the_consumer() -> None:
    bench = Bench([live(on_open=SourceInvalid("clip.mp4 holds no video"))])
    camera = bench.camera()
    camera.start()
    assert bench.until(CameraState.FAILED) == "clip.mp4 holds no video"
    assert bench.handoff.take(WAIT_S) == EndOfStream(CameraId("cam"), -1, "clip.mp4 holds no video")
    with pytest.raises(SourceInvalid, match="holds no video"):
        bench.handoff.take(WAIT_S)
    assert camera.status().last_error == "clip.mp4 holds no video"


def test_its_lines_name_it_whichever_thread_speaks(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench([live(on_open=SourceInvalid("no video"))])
    camera = bench.camera()
    with caplog.at_level("INFO", logger="pipeline"):
        camera.pause()
        camera.resume()
        bench.until(CameraState.FAILED)
    assert {record.threadName == "MainThread" for record in caplog.records} == {True, False}
    assert {getattr(record, "camera", None) for record in caplog.records} == {"cam"}


def test_an_error_and_a_picture_are_told_with_their_time() -> None:
    bench = Bench([live(on_open=SourceInvalid("no video"))])
    camera = bench.camera()
    camera.start()
    bench.until(CameraState.FAILED)
    status = camera.status()
    assert status.last_error_at == status.since
    assert status.last_frame_at is None


def test_an_error_of_ours_is_heard_and_masked(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench([live(on_open=ZeroDivisionError("rtsp://admin:hunter2@cam/1"))])
    bench.camera().start()
    assert "ZeroDivisionError" in bench.until(CameraState.FAILED)
    assert "Traceback" in caplog.text
    assert "hunter2" not in caplog.text + str(bench.states)


# Reconnecting


def test_a_lost_stream_comes_back_in_a_new_and_later_epoch() -> None:
    bench = Bench([live(source_frame(0), source_frame(1), SourceLost("gone")), live(source_frame(0))])
    camera = bench.camera()
    camera.start()
    first, second, third = bench.frames(3)
    assert (first.position.minor, second.position.minor, third.position.minor) == (0, 1, 0)
    assert third.position.major > first.position.major, "though no time passed"
    assert (third.seq, camera.status().reconnects, camera.status().last_error) == (0, 1, "gone")
    assert [state for state, _ in bench.states] == [CameraState.RUNNING, CameraState.RECONNECTING, CameraState.RUNNING]
    camera.stop(WAIT_S)


def test_the_wait_doubles_while_it_fails_and_starts_small_after_a_stable_time() -> None:
    def steady() -> None:
        bench.clock.advance(60.0)

    lost = [live(on_open=SourceLost("no route")) for _ in range(5)]
    bench = Bench([*lost, live(source_frame(0), steady, SourceLost("gone")), live(source_frame(0))])
    camera = bench.camera()
    camera.start()
    bench.until(CameraState.RUNNING, times=2)
    assert [round(delay / full) for delay, full in zip(bench.delays, [0.5, 1, 2, 4, 8, 0.5], strict=True)] == [1] * 6
    camera.stop(WAIT_S)


def test_a_stream_that_breaks_right_after_its_first_picture_does_not_reset_the_wait() -> None:
    flapping = [live(source_frame(0), SourceLost("gone")) for _ in range(6)]
    bench = Bench([*flapping, live(source_frame(0))])
    camera = bench.camera()
    camera.start()
    bench.until(CameraState.RUNNING, times=7)
    assert bench.delays[-1] > 8.0
    camera.stop(WAIT_S)


def test_a_refused_login_is_tried_again_slowly_and_says_why() -> None:
    bench = Bench([live(on_open=SourceRefused("wrong password")), live(source_frame(0))])
    camera = bench.camera()
    camera.start()
    assert bench.until(CameraState.RECONNECTING) == "wrong password"
    bench.until(CameraState.RUNNING)
    assert bench.delays == [5.0]
    camera.stop(WAIT_S)


def test_a_file_that_was_lost_goes_on_behind_its_last_frame() -> None:
    whole = [source_frame(i) for i in range(4)]
    sources = [ScriptedSource([*whole[:2], SourceLost("share gone")]), ScriptedSource(whole)]
    bench = Bench(sources, live=False)
    bench.camera().start()
    frames = bench.frames(4)
    assert [(f.seq, f.position.minor) for f in frames] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert len({f.position.source for f in frames}) == 1


# Losses


def test_pictures_that_cannot_be_decoded_are_counted_and_leave_a_gap() -> None:
    bench = Bench([live(source_frame(0), BadFrame("decode_error", 2), source_frame(3))])
    camera = bench.camera()
    camera.start()
    first, second = bench.frames(2)
    assert (first.seq, second.seq, dict(second.dropped)) == (0, 3, {"decode_error": 2})
    assert camera.status().dropped == {"decode_error": 2}
    camera.stop(WAIT_S)


def test_a_slow_consumer_costs_a_live_camera_its_oldest_frames() -> None:
    given = threading.Event()
    bench = Bench([live(*[source_frame(i) for i in range(10)], given.set)], buffer_frames=2)
    camera = bench.camera()
    camera.start()
    assert given.wait(WAIT_S)
    first, second = bench.frames(2)
    assert (first.seq, dict(first.dropped), second.seq) == (8, {"queue_full": 8}, 9)
    camera.stop(WAIT_S)


# The watchdog


def test_a_silent_stream_is_given_up_by_the_watchdog_and_its_late_frames_count_no_more() -> None:
    call, entered, let_go = hang()
    bench = Bench([live(source_frame(0), call, source_frame(1)), live(source_frame(0))])
    camera = bench.camera()
    camera.start()
    assert entered.wait(WAIT_S)
    bench.clock.advance(9.0)
    camera.tick()
    assert camera.status().state is CameraState.RUNNING
    bench.clock.advance(2.0)
    camera.tick()
    assert "no picture for 11.0 s" in bench.until(CameraState.RECONNECTING)
    bench.until(CameraState.RUNNING, times=2)
    let_go.set()
    camera.stop(WAIT_S)
    assert [f.position.minor for f in bench.frames(2)] == [0, 0]
    assert isinstance(bench.handoff.take(WAIT_S), EndOfStream)


def test_a_rate_slower_than_the_watchdog_is_no_stall() -> None:
    call, entered, let_go = hang()
    bench = Bench([live(source_frame(0), call)], fps=0.05)
    camera = bench.camera()
    camera.start()
    assert entered.wait(WAIT_S)
    bench.clock.advance(39.0)
    camera.tick()
    assert camera.status().state is CameraState.RUNNING
    bench.clock.advance(2.0)
    camera.tick()
    assert "no picture for 41.0 s" in bench.until(CameraState.RECONNECTING)
    let_go.set()
    camera.stop(WAIT_S)


def test_bad_frames_alone_are_no_sign_of_life() -> None:
    call, entered, let_go = hang()
    bad = BadFrame("decode_error")
    bench = Bench([live(source_frame(0), lambda: bench.clock.advance(11.0), bad, call)])
    camera = bench.camera()
    camera.start()
    assert entered.wait(WAIT_S)
    camera.tick()
    bench.until(CameraState.RECONNECTING)
    let_go.set()
    camera.stop(WAIT_S)


def test_an_open_that_hangs_is_given_up_after_both_timeouts() -> None:
    call, entered, let_go = hang()
    bench = Bench([live(on_open=call), live(source_frame(0))], open_timeout_s=10, stall_timeout_s=10)
    camera = bench.camera()
    camera.start()
    assert entered.wait(WAIT_S)
    bench.clock.advance(19.0)
    camera.tick()
    assert camera.status().state is CameraState.CONNECTING
    bench.clock.advance(2.0)
    camera.tick()
    assert "no connection" in bench.until(CameraState.RECONNECTING)
    bench.until(CameraState.RUNNING)
    assert camera.status().hung_threads == 1
    let_go.set()
    camera.stop(WAIT_S)


def test_the_number_of_hanging_threads_is_bounded_and_one_that_returns_makes_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hanging = [hang() for _ in range(MOST_HUNG_THREADS)]
    bench = Bench([*[live(on_open=call) for call, _, _ in hanging], live(source_frame(0))])
    camera = bench.camera()
    camera.start()
    for _, entered, _ in hanging:
        assert entered.wait(WAIT_S)
        bench.clock.advance(1000.0)
        camera.tick()
    for _ in range(5):
        bench.clock.advance(1000.0)
        camera.tick()
    assert camera.status().hung_threads == MOST_HUNG_THREADS
    assert camera.status().frames_in == 0
    assert caplog.text.count("3 calls to it do not return") == 1, "though asked for five times"
    hanging[0][2].set()
    while camera.status().state is not CameraState.RUNNING:
        camera.tick()
    for _, _, let_go in hanging:
        let_go.set()
    assert camera.stop(WAIT_S)


def test_a_slow_consumer_of_a_file_is_no_stall() -> None:
    bench = Bench([ScriptedSource([source_frame(i) for i in range(3)])], live=False, buffer_frames=1)
    camera = bench.camera()
    camera.start()
    bench.until(CameraState.RUNNING)
    bench.clock.advance(1000.0)
    camera.tick()
    assert [f.seq for f in bench.frames(3)] == [0, 1, 2]
    assert bench.until(CameraState.ENDED) == "end of stream"


def test_the_rate_is_measured_between_ticks() -> None:
    done = threading.Event()
    bench = Bench([live(*[source_frame(i) for i in range(30)], done.set)])
    camera = bench.camera()
    camera.start()
    assert done.wait(WAIT_S)
    bench.clock.advance(2.0)
    camera.tick()
    status = camera.status()
    assert (status.fps_in, status.frames_in, status.size_wh) == (15.0, 30, (4, 2))
    camera.stop(WAIT_S)


# Stop, pause and resume


def test_stop_returns_within_its_time_while_an_open_hangs() -> None:
    call, entered, let_go = hang()
    bench = Bench([live(on_open=call)])
    camera = bench.camera()
    camera.start()
    assert entered.wait(WAIT_S)
    assert camera.stop(0.0) is False
    assert camera.status().state is CameraState.ENDED
    assert bench.handoff.take() == EndOfStream(CameraId("cam"), -1, "stopped")
    let_go.set()
    assert camera.stop(WAIT_S) is True


def test_stop_frees_a_file_that_waits_for_room() -> None:
    bench = Bench([ScriptedSource([source_frame(i) for i in range(5)])], live=False, buffer_frames=1)
    camera = bench.camera()
    camera.start()
    bench.until(CameraState.RUNNING)
    assert camera.stop(WAIT_S) is True
    assert bench.frames(1)[0].seq == 0
    assert isinstance(bench.handoff.take(WAIT_S), EndOfStream)


def test_stop_ends_a_wait_for_the_next_try() -> None:
    bench = Bench([live(on_open=SourceLost("gone"))])
    waiting = threading.Event()

    def wait(cancelled: threading.Event, delay_s: float) -> bool:
        if not delay_s:
            return False
        waiting.set()
        return cancelled.wait(WAIT_S)

    camera = Camera(bench.settings, bench.handoff, open_source=bench._next, wait=wait)
    camera.start()
    assert waiting.wait(WAIT_S)
    assert camera.stop(WAIT_S) is True


def test_a_camera_that_was_never_started_can_be_stopped() -> None:
    bench = Bench([])
    assert bench.camera().stop() is True
    assert isinstance(bench.handoff.take(), EndOfStream)


def test_a_paused_live_camera_is_let_go_of_and_comes_back_in_a_new_epoch() -> None:
    first = live(source_frame(0))
    bench = Bench([first, live(source_frame(0))])
    camera = bench.camera()
    camera.start()
    before = bench.frames(1)[0]
    camera.pause()
    assert camera.status().state is CameraState.PAUSED
    assert first.cancelled.wait(WAIT_S)
    bench.clock.advance(1000.0)
    camera.tick()
    assert camera.status().state is CameraState.PAUSED, "silence is what was asked for"
    camera.resume()
    assert bench.frames(1)[0].position > before.position
    camera.stop(WAIT_S)


def test_a_paused_file_waits_where_it_is() -> None:
    call, entered, let_go = hang()
    bench = Bench([ScriptedSource([source_frame(0), call, source_frame(1), source_frame(2)])], live=False)
    camera = bench.camera()
    camera.start()
    assert entered.wait(WAIT_S)
    camera.pause()
    let_go.set()
    assert bench.frames(1)[0].seq == 0
    with pytest.raises(TimeoutError):
        bench.handoff.take(0.05)
    camera.resume()
    assert [f.seq for f in bench.frames(2)] == [1, 2]
    bench.until(CameraState.ENDED)


def test_pausing_over_and_over_does_not_pile_up_hanging_threads() -> None:
    hanging = [hang() for _ in range(10)]
    bench = Bench([live(on_open=call) for call, _, _ in hanging])
    camera = bench.camera()
    camera.start()
    for _ in range(10):
        camera.pause()
        camera.resume()
    assert camera.status().hung_threads <= MOST_HUNG_THREADS
    assert sum(thread.name.startswith("camera-cam-") for thread in threading.enumerate()) <= MOST_HUNG_THREADS + 1
    for _, _, let_go in hanging:
        let_go.set()
    camera.stop(WAIT_S)


# Positions


def test_live_epochs_go_on_above_the_stored_cursor_even_if_our_clock_went_back() -> None:
    cursor = Position("live", 1_900_000_000_000, 77)
    bench = Bench([live(source_frame(0))])
    camera = bench.camera(stored=StoredPlace(cursor))
    camera.start()
    assert bench.frames(1)[0].position == Position("live", 1_900_000_000_001, 0)
    camera.stop(WAIT_S)


def test_a_resumed_file_goes_on_behind_the_cursor_and_a_new_run_does_not() -> None:
    numbering = Numbering(None, "", ManualClock(1000.0))
    numbering.new_run(ScriptedSource([], identity="clip,1,2"))
    cursor = numbering.next(ScriptedSource([]), source_frame(7)).position
    for resume, identity, after in (
        (True, "clip,1,2", After(0, 7, 12.5)),
        (True, "clip,1,3", None),
        (False, "clip,1,2", None),
    ):
        source = ScriptedSource([source_frame(i) for i in range(10)], identity=identity)
        bench = Bench([source], live=False, resume=resume)
        camera = bench.camera(stored=StoredPlace(cursor, 12.5))
        camera.start()
        first = bench.frames(1)[0]
        assert source.asked_after == after
        assert first.position.minor == (8 if after else 0)
        assert (first.position.source == cursor.source) is (after is not None)
        assert first.follows == (cursor if after else None)
        camera.stop(WAIT_S)


def test_a_cursor_of_the_same_run_is_followed_without_the_setting() -> None:
    whole = [source_frame(i) for i in range(3)]
    first = Bench([ScriptedSource(whole)], live=False)
    camera = first.camera()
    camera.start()
    cursor = first.frames(2)[1].position
    again = Bench([ScriptedSource(whole)], live=False)
    again.camera(stored=StoredPlace(cursor), run_id=camera.run_id).start()
    assert again.frames(1)[0].position == Position(cursor.source, 0, 2)


def test_a_camera_without_a_name_is_refused() -> None:
    settings = CameraSettings(url="rtsp://cam/1")
    with pytest.raises(ValueError, match="camera_id"):
        Camera(settings, make_handoff(settings))


def test_the_address_chooses_the_source(tmp_path: Any) -> None:
    assert not make_source(CameraSettings(url=str(tmp_path))).live
    assert make_source(CameraSettings(url="rtsp://cam/1")).live
