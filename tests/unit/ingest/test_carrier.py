"""The carrier keeps a shard's order, sends failed batches again, and gives up where its rules say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.answers import BatchAnswer, CameraAnswer, Gap, Outcome
from pipeline.ingest.batcher import Gathered
from pipeline.ingest.carrier import Carried, Carrier, CarrierSettings
from pipeline.ingest.graph import BatchRefused, GraphUnavailable
from pipeline.ingest.tracing import Tracing
from pipeline.observe.metrics import Meter, Metrics, NullMeter
from stages.trace import Stage, Trace
from stages.values import (
    CameraId,
    CameraNotice,
    Clock,
    Detected,
    Detections,
    EndOfStream,
    Frame,
    FrameBatch,
    FrameFailed,
    ModelInfo,
    Picture,
    PixelFormat,
    Position,
)
from tests.fakes import RecordingMeter

CAM = CameraId("cam-1")
MODEL = ModelInfo("m", "1", "", ("thing",))
AGE_S = 3.0  # of a frame when its batch is made
PUBLISHED = CameraAnswer(Outcome.PUBLISHED, published=1)


def frame(seq: int, dropped: Mapping[str, int] | None = None) -> Frame:
    picture = Picture(np.zeros((2, 2), np.uint8), PixelFormat.GRAY8, 2, 2)
    position, received_at = Position("live", 1, seq), time.time() - AGE_S
    return Frame(CAM, seq, float(seq), Clock.ARRIVAL, position, picture, received_at, dropped or {})


class ScriptedGraph:
    """Answers as told; remembers the order in which batches reached track."""

    def __init__(
        self,
        on_detect: Callable[[int], float] = lambda batch_no: 0.0,
        track_answers: list[CameraAnswer | Exception] | None = None,
    ) -> None:
        self.on_detect = on_detect
        self.track_answers = track_answers or []
        self.tracked: list[int] = []
        self.tracked_failed: list[bool] = []
        self.told: list[dict[str, int]] = []  # dropped_since_last of each frame that reached track
        self.in_track = 0
        self.most_in_track = 0
        self.forgotten: list[int] = []
        self.traces: list[Trace | None] = []  # of the detections that reached track

    async def detect(self, batch: FrameBatch) -> Detected:
        await asyncio.sleep(self.on_detect(batch.batch_no))
        found, stats = (Detections.empty(),) * len(batch), (FrameFailed("no stats"),) * len(batch)
        return Detected(found, stats, MODEL, trace=batch.trace)

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        self.in_track += 1
        self.most_in_track = max(self.most_in_track, self.in_track)
        await asyncio.sleep(0)
        self.in_track -= 1
        self.tracked.append(batch.batch_no)
        self.traces.append(None if detected is None else detected.trace)
        self.told += [dict(frame.dropped) for frame in batch.frames]
        self.tracked_failed.append(detected is not None and isinstance(detected.detections[0], FrameFailed))
        answer = self.track_answers.pop(0) if self.track_answers else PUBLISHED
        if isinstance(answer, Exception):
            raise answer
        return BatchAnswer({CAM: answer})

    def forget(self, batch: FrameBatch) -> None:
        self.forgotten.append(batch.batch_no)

    def failed(self, batch: FrameBatch, reason: str) -> Detected:
        failed = tuple(FrameFailed(reason) for _ in batch.frames)
        return Detected(failed, failed, MODEL)


async def carry(
    graph: ScriptedGraph,
    batches: int | Sequence[Gathered],
    live: bool = False,
    meter: Meter | None = None,
    answers: list[tuple[int, BatchAnswer]] | None = None,
    sample: float = 0.0,
    **settings: float,
) -> Carrier:
    """Carries so many one-frame batches, or these, and returns when the last has landed."""
    waiting = [Gathered((frame(seq),)) for seq in range(batches)] if isinstance(batches, int) else list(batches)
    expected = len(waiting)
    landed = asyncio.Event()
    answered: list[tuple[int, BatchAnswer]] = [] if answers is None else answers

    async def gather() -> Gathered:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    def on_answer(batch: FrameBatch, answer: BatchAnswer) -> None:
        answered.append((batch.batch_no, answer))
        if len(answered) == expected:
            landed.set()

    carrier = Carrier(
        "shard", gather, graph, CarrierSettings(**settings), live, on_answer, Metrics(meter or NullMeter()),
        Tracing("shard", sample),
    )  # fmt: skip
    running = asyncio.create_task(carrier.run())
    await asyncio.wait_for(landed.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await carrier.drain(1)
    return carrier


async def test_batches_that_overtake_each_other_in_detect_reach_track_in_order_and_one_at_a_time() -> None:
    graph = ScriptedGraph(on_detect=lambda batch_no: 0.03 if batch_no % 2 == 0 else 0.0)
    await carry(graph, 8, max_in_flight=4)
    assert graph.tracked == list(range(8))
    assert graph.most_in_track == 1
    assert sorted(graph.forgotten) == list(range(8))


async def test_a_batch_whose_replica_died_is_sent_again_before_the_next_one() -> None:
    graph = ScriptedGraph(track_answers=[GraphUnavailable("replica died"), PUBLISHED])
    carrier = await carry(graph, 3)
    assert graph.tracked == [0, 0, 1, 2]
    assert carrier.figures.frames_published[CAM] == 3


async def test_a_replayable_batch_is_sent_again_until_the_store_is_back() -> None:
    away = CameraAnswer(Outcome.UNAVAILABLE)
    graph = ScriptedGraph(track_answers=[away, away, PUBLISHED])
    carrier = await carry(graph, 2, live=False)
    assert graph.tracked == [0, 0, 0, 1]
    assert carrier.figures.dropped == {}


async def test_a_live_batch_goes_on_without_the_store_and_is_counted() -> None:
    graph = ScriptedGraph(track_answers=[CameraAnswer(Outcome.UNAVAILABLE)])
    carrier = await carry(graph, 2, live=True)
    assert graph.tracked == [0, 1]
    assert carrier.figures.dropped[CAM] == {"sink_unavailable": 1}


async def test_a_batch_that_a_stage_refuses_is_published_as_failed_frames() -> None:
    class RefusingDetect(ScriptedGraph):
        async def detect(self, batch: FrameBatch) -> Detected:
            if batch.batch_no == 0:
                raise BatchRefused("out of memory")
            return await super().detect(batch)

    graph = RefusingDetect()
    await carry(graph, 2)
    assert graph.tracked == [0, 1]
    assert graph.tracked_failed == [True, False]


@pytest.mark.parametrize("live", [True, False])
async def test_a_batch_that_track_refuses_is_given_up_and_counted_not_tried_for_ever(live: bool) -> None:
    graph = ScriptedGraph(track_answers=[BatchRefused("bad"), BatchRefused("bad")])
    carrier = await carry(graph, 2, live=live)
    assert graph.tracked == [0, 0, 1]
    assert carrier.figures.dropped[CAM] == {"graph_unavailable": 1}


async def test_a_live_batch_is_given_up_once_the_graph_stays_away_too_long() -> None:
    graph = ScriptedGraph(track_answers=[GraphUnavailable("gone")] * 3)
    carrier = await carry(graph, 1, live=True, live_give_up_s=0.01)
    assert carrier.figures.dropped[CAM] == {"graph_unavailable": 1}


async def test_each_batch_is_counted_with_its_frames_and_the_age_of_its_oldest() -> None:
    meter = RecordingMeter()
    carrier = await carry(ScriptedGraph(), 3, meter=meter)
    assert meter.total("rayline_batches", shard="shard") == 3
    assert meter.values("rayline_batch_frames") == [1, 1, 1]
    assert all(AGE_S <= age < AGE_S + 2 for age in meter.values("rayline_queue_age_seconds"))
    assert len(meter.values("rayline_queue_age_seconds")) == 3
    assert meter.total("rayline_batches_lost") == 0
    assert carrier.in_flight == 0


async def test_what_goes_without_frames_makes_no_batch_look_emptier() -> None:
    meter, graph = RecordingMeter(), ScriptedGraph()
    said = CameraNotice(CAM, 1, 1.0, "running", "", True, 1)
    ended = EndOfStream(CAM, 1, "over")
    batches = [Gathered((), notices=(said,)), Gathered((frame(0), frame(1))), Gathered((), (ended,))]
    carrier = await carry(graph, batches, meter=meter)
    assert graph.tracked == [0, 1, 2]
    assert carrier.carried() == Carried(batches=1, frames=2, in_flight=0)
    assert meter.total("rayline_batches") == 1
    assert meter.values("rayline_batch_frames") == [2]


async def test_a_batch_given_up_in_detect_and_in_track_is_counted_lost_once() -> None:
    class Refusing(ScriptedGraph):
        async def detect(self, batch: FrameBatch) -> Detected:
            raise BatchRefused("out of memory")

    meter = RecordingMeter()
    await carry(Refusing(track_answers=[BatchRefused("bad")] * 2), 1, meter=meter)
    assert meter.told[0] == ("rayline_batches_lost", 1, {"shard": "shard", "reason": "BatchRefused"})
    assert meter.total("rayline_batches_lost") == 1


class BrokenDetect(ScriptedGraph):
    """Batch 1 raises what no stage should, while batch 0 is still in track."""

    def __init__(self) -> None:
        super().__init__()
        self.road: list[str] = []
        self.raised = asyncio.Event()

    async def detect(self, batch: FrameBatch) -> Detected:
        if batch.batch_no == 1:
            self.raised.set()
            raise RuntimeError("out of cheese")
        return await super().detect(batch)

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        self.road.append(f"in {batch.batch_no}")
        await self.raised.wait()
        for _ in range(10):  # all that could overtake this batch has its turn on the loop
            await asyncio.sleep(0)
        self.road.append(f"out {batch.batch_no}")
        return await super().track(batch, detected, excused)


async def test_an_unforeseen_error_costs_its_batch_but_neither_order_nor_the_end_it_held() -> None:
    graph, meter, answers = BrokenDetect(), RecordingMeter(), list[tuple[int, BatchAnswer]]()
    ending = Gathered((frame(1),), (EndOfStream(CAM, 1, "over"),))
    batches = [Gathered((frame(0),)), ending, Gathered((frame(2),))]
    carrier = await carry(graph, batches, meter=meter, answers=answers, max_in_flight=4)
    assert graph.road == ["in 0", "out 0", "in 2", "out 2"]
    assert [(number, answer.cameras[CAM].outcome) for number, answer in answers] == [
        (0, Outcome.PUBLISHED),
        (1, Outcome.GIVEN_UP),
        (2, Outcome.PUBLISHED),
    ]
    assert carrier.figures.dropped[CAM] == {"graph_unavailable": 1}
    assert meter.total("rayline_batches_lost", shard="shard", reason="RuntimeError") == 1
    assert sorted(graph.forgotten) == [0, 1, 2]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.CONFLICT, "superseded"),
        (Outcome.FAILED, "track_failed"),
        (Outcome.UNAVAILABLE, "sink_unavailable"),
    ],
)
async def test_a_lost_frame_is_told_once_with_the_losses_it_was_to_tell(outcome: Outcome, reason: str) -> None:
    graph = ScriptedGraph(track_answers=[PUBLISHED, CameraAnswer(outcome), CameraAnswer(outcome)])
    batches = [Gathered((frame(n, {"queue_full": 2} if n == 1 else None),)) for n in range(5)]
    await carry(graph, batches, live=True, max_in_flight=1)
    assert graph.told == [{}, {"queue_full": 2}, {reason: 1, "queue_full": 2}, {reason: 2, "queue_full": 2}, {}]


async def test_a_loss_found_while_the_next_batch_is_under_way_is_told_by_the_one_behind_it() -> None:
    graph = ScriptedGraph(track_answers=[CameraAnswer(Outcome.CONFLICT)])
    await carry(graph, 4, live=True, max_in_flight=2)
    assert graph.told == [{}, {}, {"superseded": 1}, {}]


async def test_a_loss_that_track_counts_itself_is_not_told_twice() -> None:
    graph = ScriptedGraph(track_answers=[CameraAnswer(Outcome.UNAVAILABLE, keeps_count=True)])
    carrier = await carry(graph, 3, live=True, max_in_flight=1)
    assert carrier.figures.dropped[CAM] == {"sink_unavailable": 1}
    assert graph.told == [{}, {}, {}]


async def test_frames_on_disk_are_neither_lost_nor_published_until_they_are_stored() -> None:
    on_disk = CameraAnswer(Outcome.SPOOLED, waiting=1)
    drained = CameraAnswer(Outcome.PUBLISHED, published=1, late=1, late_lost={"spool_full": 3})
    graph = ScriptedGraph(track_answers=[on_disk])
    carrier = await carry(graph, 1, live=True, max_in_flight=1)
    assert (carrier.figures.frames_published[CAM], carrier.figures.waiting[CAM]) == (0, 1)
    carrier = await carry(ScriptedGraph(track_answers=[on_disk, drained]), 2, live=True, max_in_flight=1)
    assert (carrier.figures.frames_published[CAM], carrier.figures.waiting[CAM]) == (2, 0)
    assert carrier.figures.dropped == {}
    assert carrier.figures.dropped_late[CAM] == {"spool_full": 3}
    assert graph.told == [{}]


async def test_a_camera_without_an_answer_has_lost_its_frames() -> None:
    class Silent(ScriptedGraph):
        async def track(
            self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]
        ) -> BatchAnswer:
            return BatchAnswer({})

    carrier = await carry(Silent(), 1)
    assert carrier.figures.dropped[CAM] == {"graph_unavailable": 1}


async def test_what_a_camera_had_to_say_in_a_batch_that_was_given_up_is_said_in_the_next() -> None:
    lost = CameraNotice(CAM, 1, 1.0, "reconnecting", "the stream ended", False, 1)
    heard: list[list[CameraNotice]] = []

    class Listening(ScriptedGraph):
        async def track(
            self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]
        ) -> BatchAnswer:
            heard.append(list(batch.notices))
            return await super().track(batch, detected, excused)

    graph = Listening(track_answers=[PUBLISHED, CameraAnswer(Outcome.GIVEN_UP)])
    batches = [
        Gathered((frame(0),)),
        Gathered((frame(1),), notices=(lost,)),
        Gathered((frame(2),)),
        Gathered((frame(3),)),
    ]
    await carry(graph, batches, live=True, max_in_flight=1)
    assert heard == [[], [lost], [lost], []]


def of_file(seq: int) -> Frame:
    follows = Position("file:a", 0, seq - 1) if seq else None
    return replace(frame(seq), position=Position("file:a", 0, seq), follows=follows)


class Excusing(ScriptedGraph):
    """Remembers what it was told not to wait for."""

    def __init__(self, track_answers: list[CameraAnswer | Exception]) -> None:
        super().__init__(track_answers=track_answers)
        self.excused: list[Gap | None] = []
        self.asked = asyncio.Event()

    async def track(self, batch: FrameBatch, detected: Detected | None, excused: Mapping[CameraId, Gap]) -> BatchAnswer:
        self.excused.append(excused.get(CAM))
        self.asked.set()
        return await super().track(batch, detected, excused)


async def test_frames_that_are_lost_for_good_are_excused_together_until_one_behind_them_is_published() -> None:
    failed = CameraAnswer(Outcome.FAILED)
    graph = Excusing([PUBLISHED, failed, failed, PUBLISHED, PUBLISHED])
    await carry(graph, [Gathered((of_file(n),)) for n in range(5)], max_in_flight=1)
    before = of_file(0).position
    assert graph.excused == [None, None, Gap(before, of_file(1).position), Gap(before, of_file(2).position), None]


async def test_a_traced_batch_notes_its_way_back_and_the_wait_for_its_turn() -> None:
    graph = ScriptedGraph(on_detect=lambda batch_no: 0.3 if batch_no == 0 else 0.0)
    await carry(graph, 2, max_in_flight=2, sample=1.0)
    first, second = graph.traces
    assert first is not None
    assert second is not None
    assert [mark.stage for mark in second.marks] == [Stage.RETURN, Stage.TURN]
    back, turn = second.marks
    assert turn.until >= first.marks[1].until  # it overtook the first, and waited for its turn
    assert turn.until - back.until > 2 * (first.marks[1].until - first.marks[0].until)


async def test_most_batches_are_not_traced() -> None:
    graph = ScriptedGraph()
    await carry(graph, 2)
    assert graph.traces == [None, None]


async def test_what_a_stop_cut_short_is_not_excused() -> None:
    """Whoever goes on reads it again: what comes behind it must not be written before."""
    graph = Excusing([CameraAnswer(Outcome.UNAVAILABLE)] * 2 + [CameraAnswer(Outcome.BEHIND)])
    waiting = [Gathered((of_file(n),)) for n in range(2)]

    async def gather() -> Gathered:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    carrier = Carrier("shard", gather, graph, CarrierSettings(max_in_flight=2), False)
    running = asyncio.create_task(carrier.run())
    await asyncio.wait_for(graph.asked.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await carrier.drain(5)
    assert graph.tracked == [0, 0, 1]
    assert graph.excused == [None] * 3
    assert carrier.figures.dropped == {}
