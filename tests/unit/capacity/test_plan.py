"""What so many cameras need: one example worked out by hand, and what must hold whatever the figures are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.capacity.cost import Cost, Known
from pipeline.capacity.demand import Demand, DemandError, Model
from pipeline.capacity.measured import Measured
from pipeline.capacity.plan import Plan, plan
from stages.detect.settings import Runtime
from tests.unit.capacity.builders import demand


def test_an_example_worked_out_by_hand() -> None:
    made = plan(demand())
    # 2,000 frames/s sent, 1,000 looked at, 5,000 objects, 500 batches.
    assert {share.name: round(share.cores, 3) for share in made.shares} == {
        "decode": 5.2,  # 2,000 x 2.60 ms
        "pictures into batches": 1.18,  # 1,000 x (0.9 + 2 x 0.14)
        "letterbox, statistics": 0.83,
        "model": 50.0,
        "boxes": 0.7,
        "track, publish": 1.0,
        "objects": 1.5,  # 5,000 x 0.3
        "batches (Ray)": 8.8,  # 500 x 17.6
    }
    assert made.nodes == 7  # (69.21 + 0.11 of head and supervisor) / (16 x 0.7 - 0.02) = 6.2
    assert made.cores == pytest.approx(69.21 + 0.05 + 13 * 0.0024 + 7 * 0.02)
    assert (made.graph.topology, made.graph.shards) == ("fused", 13)
    assert (made.graph.detect_replicas, made.graph.threads) == (10, 8)  # (0.83 + 50 + 0.7) / 0.7 / 8 = 9.2
    assert made.graph.track_replicas == 7  # (1.0 + 1.5 + 0.22 x 8.8) / 0.7 = 6.3
    assert made.network.cameras == pytest.approx(100 * 0.08 * 1280 * 720 * 20 / 1e6)
    assert made.network.pixels == pytest.approx(2 * 6 / 7 * 1000 * 1280 * 720 * 1.5 * 8 / 1e6)
    assert made.redis.memory_mb == pytest.approx(100 * 10_000 * (690 + 5 * 89) * 1.33 / 1e6)
    assert made.redis.entries_per_s == 1000


def test_a_gpu_takes_the_models_cores_away_and_its_frames_are_counted() -> None:
    made = plan(demand(model=Model("mine", gpu_ms=1.5), gpu="h100"))
    assert made.gpus == 3  # 1,000 x 1.5 ms / 0.7 = 2.1
    assert made.runtime is Runtime.TENSORRT
    assert made.graph.threads == 0
    assert sum(share.cores for share in made.shares) < 25
    assert made.graph.detect_replicas % made.gpus == 0
    assert made.graph.gpus_per_replica * made.graph.detect_replicas <= made.gpus


def test_few_cards_a_node_can_decide_how_many_nodes() -> None:
    wanted = demand({"count": 40}, Model("mine", gpu_ms=20.0), gpu="slow", cores_per_node=64)
    assert plan(wanted).nodes == plan(wanted).gpus == 12  # 400 x 20 ms / 0.7 = 11.4
    assert plan(replace(wanted, site=replace(wanted.site, gpus_per_node=4))).nodes == 3


def cores(made: Plan) -> float:
    return made.cores


def memory(made: Plan) -> float:
    return made.redis.memory_mb


def pictures(made: Plan) -> float:
    return made.network.pixels


@pytest.mark.parametrize("figure", [cores, memory, pictures])
@pytest.mark.parametrize("model", [Model("yolo11s"), Model("mine", gpu_ms=2.0)])
def test_more_cameras_never_need_less(figure: Callable[[Plan], float], model: Model) -> None:
    needs = [figure(plan(demand({"count": count}, model))) for count in range(1, 400)]
    assert needs == sorted(needs)


@pytest.mark.parametrize(
    ("more", "less"),
    [
        pytest.param(demand({"fps": 15.0}), demand(), id="frames looked at"),
        pytest.param(demand({"camera_fps": 30.0}), demand(), id="frames sent"),
        pytest.param(demand({"width": 1920, "height": 1080}), demand(), id="pixels"),
        pytest.param(demand({"objects": 20.0}), demand(), id="objects"),
        pytest.param(demand(frames_per_batch=1.0), demand(), id="emptier batches"),
        pytest.param(demand(model=Model("yolo11m")), demand(model=Model("yolo11s")), id="a larger model"),
        pytest.param(demand(model=Model("yolo11n", (640, 640))), demand(model=Model("yolo11n")), id="a larger input"),
    ],
)
def test_more_work_needs_more_cores(more: Demand, less: Demand) -> None:
    assert plan(more).cores > plan(less).cores


def test_more_headroom_needs_more_nodes_and_one_camera_needs_one() -> None:
    assert plan(demand(headroom=0.6)).nodes > plan(demand(headroom=0.0)).nodes
    assert plan(demand({"count": 1})).nodes == 1


def test_one_node_sends_no_pictures_away() -> None:
    assert plan(demand({"count": 4})).network.pixels == 0


def test_every_share_is_told_with_how_it_is_known() -> None:
    made = plan(demand(model=Model("yolo11x")))
    for share in made.shares:
        (told,) = [text for text in made.assumptions if text.startswith(f"{share.name}:")]
        assert f"({share.cost.known}: " in told
        assert share.cost.source in told
    assert any(text.startswith("not measured: model") for text in made.warnings)


def test_what_was_measured_here_stands_in_place_of_the_tables() -> None:
    def here(value: float) -> Cost:
        return Cost(value, Known.MEASURED, "this machine")

    measured = Measured(here(1.0), here(0.1), here(0.5), Runtime.OPENVINO, here(20.0), None)
    made = plan(demand(model=Model("best.pt")), measured)
    assert [round(share.cores, 3) for share in made.shares[:4]] == [2.0, 1.1, 0.5, 20.0]
    on_gpu = plan(demand(model=Model("best.pt")), replace(measured, runtime=Runtime.TENSORRT, gpu_ms=here(2.0)))
    assert on_gpu.gpus == 3  # 1,000 x 2 ms / 0.7 = 2.9


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        pytest.param(demand({"count": 4000}), "detect_replicas are more than one Rayline takes", id="replicas"),
        pytest.param(demand({"count": 1200}), "Redis would need 1.2 cores", id="redis"),
        pytest.param(demand(shard_size=32, cameras={"camera_fps": 60.0}), "lower graph.shard_size", id="reader"),
        pytest.param(demand({"count": 2000}, shard_size=4), "the head's processes", id="head"),
        pytest.param(demand({"width": 3840, "height": 2160}), "Gbit/s into one node", id="network"),
    ],
)
def test_what_would_not_go_well_is_said(wanted: Demand, told: str) -> None:
    assert any(told in warning for warning in plan(wanted).warnings)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        pytest.param(lambda: demand({"count": 0}), "--cameras 0: at least 1", id="no cameras"),
        pytest.param(lambda: demand({"fps": 0.0}), "--fps 0: must be above 0", id="no frames"),
        pytest.param(lambda: demand({"fps": float("nan")}), "--fps nan", id="not a number"),
        pytest.param(lambda: demand({"fps": 30.0}), "more than they send", id="more than is sent"),
        pytest.param(lambda: demand({"width": 1}), "1x720", id="no picture"),
        pytest.param(lambda: demand({"mbit_per_s": -1.0}), "--mbit", id="no bits"),
        pytest.param(lambda: demand(headroom=1.0), "--headroom", id="all is headroom"),
        pytest.param(lambda: demand(shard_size=0), "--shard-size 0", id="empty shards"),
        pytest.param(lambda: demand(frames_per_batch=9.0), "--frames-per-batch 9", id="batches over the limit"),
        pytest.param(lambda: demand(cores_per_node=0), "--cores-per-node 0", id="no cores"),
        pytest.param(lambda: demand(model=Model("yolo11n", (100, 640))), "640x100: multiples of 32", id="odd input"),
        pytest.param(lambda: demand(model=Model("yolo11q")), "did you mean yolo11", id="unknown model"),
        pytest.param(lambda: demand(model=Model("yolo11n"), gpu="h100"), "--gpu h100: published times", id="card"),
        pytest.param(lambda: demand(model=Model("yolo11n", runtime=Runtime.TENSORRT)), "but which", id="no card"),
        pytest.param(
            lambda: demand(model=Model("yolo11n", runtime=Runtime.OPENVINO), gpu="t4"), "runs on CPUs", id="both"
        ),
    ],
)
def test_bad_input_is_told_in_words(build: Callable[[], Demand], told: str) -> None:
    with pytest.raises(DemandError, match=told):
        plan(build())
