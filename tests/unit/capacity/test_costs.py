"""Figures of the tables: where they can be checked without a machine to measure on, they are."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.capacity import costs, models
from pipeline.capacity.av_decoding import decode_cost
from pipeline.capacity.cost import Known, by_pixels
from pipeline.capacity.costs import Codec
from pipeline.capacity.demand import Model
from pipeline.capacity.model_table import CPU_MS, GFLOPS_640, GPU_MS_640, GPU_SOURCES
from stages.detect.settings import Runtime
from stages.results.messages import detection_message
from stages.values import Tracks
from tests.unit.results.builders import CONTEXT, PUBLISHED_AT, result

SIZES = {(100, 100): 1.0, (200, 200): 4.0}


@pytest.mark.parametrize(
    ("size", "value", "known"),
    [
        pytest.param((100, 100), 1.0, Known.MEASURED, id="measured"),
        pytest.param((100, 250), 2.5, Known.SCALED, id="between"),
        pytest.param((50, 100), 0.5, Known.SCALED, id="below, by pixels"),
        pytest.param((200, 400), 8.0, Known.SCALED, id="above, by pixels"),
    ],
)
def test_a_pictures_cost_goes_with_its_pixels(size: tuple[int, int], value: float, known: Known) -> None:
    cost = by_pixels(SIZES, *size, "here")
    assert (cost.value, cost.known) == (pytest.approx(value), known)
    assert "here" in cost.source


def test_a_measured_model_is_told_as_it_was_measured() -> None:
    cost = models.cpu_ms(Model("yolo11s.pt"), Runtime.OPENVINO)
    assert (cost.value, cost.known) == (CPU_MS[Runtime.OPENVINO]["yolo11s"], Known.MEASURED)


def test_a_model_nobody_measured_is_scaled_from_its_nearest_and_says_so() -> None:
    cost = models.cpu_ms(Model("yolo11l"), Runtime.OPENVINO)
    ratio = GFLOPS_640["yolo11l"] / GFLOPS_640["yolo11m"]
    assert cost.value == pytest.approx(CPU_MS[Runtime.OPENVINO]["yolo11m"] * ratio)
    assert cost.known is Known.SCALED
    assert "by the FLOPs of yolo11l from: yolo11m" in cost.source


def test_another_input_is_scaled_by_its_area() -> None:
    cost = models.gpu_ms(Model("yolo11n", (320, 640)), "t4")
    assert (cost.value, cost.known) == (pytest.approx(GPU_MS_640["t4"]["yolo11n"] / 2), Known.SCALED)
    assert models.gpu_ms(Model("yolo11n", (640, 640)), "t4").known is Known.PUBLISHED


def test_every_timed_model_is_known_and_every_card_has_a_source() -> None:
    timed = {name for table in (*CPU_MS.values(), *GPU_MS_640.values()) for name in table}
    assert timed <= GFLOPS_640.keys()
    assert GPU_SOURCES.keys() == GPU_MS_640.keys()


@pytest.mark.parametrize("objects", [0, 1, 5, 20])
def test_messages_are_as_long_as_a_plan_takes_them_to_be(objects: int) -> None:
    rng = np.random.default_rng(objects)
    tracks = Tracks(
        xyxy=rng.uniform(0, 1900, (objects, 4)).astype(np.float32),
        score=rng.uniform(0.3, 1, objects).astype(np.float32),
        class_id=rng.integers(0, 3, objects).astype(np.int32),
        track_id=rng.integers(1, 9999, objects).astype(np.int32),
    )
    length = len(detection_message(result(tracks=tracks, size_wh=(1920, 1080)), CONTEXT, PUBLISHED_AT))
    assert length == pytest.approx(costs.MESSAGE_BYTES + objects * costs.OBJECT_BYTES, rel=0.06)


@pytest.mark.parametrize("codec", list(Codec))
def test_decoding_is_measured_on_pictures_of_every_codec(codec: Codec) -> None:
    cost = decode_cost(codec, 320, 180, frames=10)
    assert 0 < cost.decode_ms < 1000
    assert 0 <= cost.picture_ms < 1000
    assert 0 < cost.bits < 320 * 180 * 12
