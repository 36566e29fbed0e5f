"""Which runtime is chosen, and what the machine is taken for."""

import os
from pathlib import Path

import pytest

from stages.detect.backend import choose_runtime
from stages.detect.machine import byte_arithmetic, usable_cpus
from stages.detect.settings import Runtime
from stages.detect.weights import WeightsFormat
from stages.errors import ModelError


@pytest.mark.parametrize(
    ("weights", "cuda", "chosen"),
    [
        pytest.param(WeightsFormat.PT, False, Runtime.OPENVINO, id="a .pt without a GPU"),
        pytest.param(WeightsFormat.ONNX, False, Runtime.OPENVINO, id="an .onnx without a GPU"),
        pytest.param(WeightsFormat.OPENVINO, True, Runtime.OPENVINO, id="an OpenVINO folder stays what it is"),
    ],
)
def test_auto_takes_the_fastest(weights: WeightsFormat, cuda: bool, chosen: Runtime) -> None:
    assert choose_runtime(Runtime.AUTO, weights, cuda) is chosen


def test_auto_on_a_gpu_stays_on_the_gpu() -> None:
    assert choose_runtime(Runtime.AUTO, WeightsFormat.PT, cuda=True) in (Runtime.TENSORRT, Runtime.TORCH)


def test_a_named_runtime_is_kept() -> None:
    assert choose_runtime(Runtime.TORCH, WeightsFormat.PT, cuda=False) is Runtime.TORCH


def test_a_runtime_that_cannot_be_had_is_refused_with_those_that_can() -> None:
    with pytest.raises(
        ModelError, match=r"tensorrt cannot run \.pt weights on this machine; possible here: openvino, onnx, torch"
    ):
        choose_runtime(Runtime.TENSORRT, WeightsFormat.PT, cuda=False)
    with pytest.raises(ModelError, match=r"no runtime for \.engine weights"):
        choose_runtime(Runtime.AUTO, WeightsFormat.ENGINE, cuda=False)


@pytest.mark.parametrize(
    ("quota", "at_most"),
    [("max 100000", 4096), ("100000 100000", 1), ("50000 100000", 1), ("150000 100000", 2), ("?", 4096)],
)
def test_a_containers_quota_caps_the_cpus(tmp_path: Path, quota: str, at_most: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cpus(file) == min(at_most, len(os.sched_getaffinity(0)))


def test_no_quota_file_leaves_all(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "absent") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("fpu avx2 avx512f", None),
        ("fpu avx2 avx_vnni", "vnni"),
        ("fpu avx512_vnni", "vnni"),
        ("avx512_vnni amx_int8", "amx"),
    ],
)
def test_a_cpu_tells_what_it_has_for_8_bits(tmp_path: Path, flags: str, found: str | None) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nvmx flags\t: amx_int8\nflags\t\t: {flags}\n")
    assert byte_arithmetic(file) == found


def test_a_cpu_nobody_can_tell_about_has_nothing_for_8_bits(tmp_path: Path) -> None:
    assert byte_arithmetic(tmp_path / "absent") is None
