"""A detector in 8 bits: its convolutions work on weights and inputs rounded to 256 steps, set by real pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from stages.detect.onnx_backend import RUN_ERRORS, is_quantized
from stages.errors import ModelError
from stages.values import UInt8

_ERRORS: tuple[type[Exception], ...] = (ValueError, *RUN_ERRORS)


def quantize(source: Path, target: Path, rows: Iterable[UInt8]) -> None:
    """Write `target`, an .onnx of `source` (.onnx, 32 bit) that computes in 8 bits; both runtimes for CPUs read it.

    `rows`: prepared pictures (1, 3, h, w) uint8, such as the model is to see; some hundreds. What the head makes of
    its last convolutions, boxes in pixels and scores, stays in 32 bit, and so do these. Raises ModelError.
    """
    model = onnx.load(source)
    _refuse_unfit(source, model)
    kept = last_convolutions(model)
    add_pre_process_metadata(model)  # else a warning asks for what the export has done
    try:
        quantize_static(
            model,
            target,
            _Rows(model.graph.input[0].name, rows),
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Conv"]},
        )
    except _ERRORS as exc:
        raise ModelError(f"{source}: cannot be made 8 bit: {exc}") from exc


def last_convolutions(model: ModelProto) -> list[str]:
    """Names of the convolutions behind which no other comes; one that only sums its inputs up (DFL) does not count."""
    makers = {name: node for node in model.graph.node for name in node.output}
    weights = {one.name: one for one in model.graph.initializer}
    found: set[str] = set()
    seen: set[str] = set()
    todo = [answer.name for answer in model.graph.output]
    while todo:
        name = todo.pop()
        node = makers.get(name)
        if node is None or name in seen or node.op_type == "Shape":  # a size is no picture
            continue
        seen.add(name)
        if node.op_type == "Conv":
            found.add(node.name)
            if not _sums_up(weights.get(node.input[1])):
                continue
        todo += node.input
    return sorted(found)


def _sums_up(weights: TensorProto | None) -> bool:
    """True for 0, 1, 2 ... as weights: an expected value, made of a distribution."""
    if weights is None:
        return False
    values = numpy_helper.to_array(weights).ravel()
    return values.size > 1 and np.array_equal(values, np.arange(values.size))


def _refuse_unfit(source: Path, model: ModelProto) -> None:
    if is_quantized(model):
        raise ModelError(f"{source}: it computes in 8 bits already")
    wanted = model.graph.input[0].type.tensor_type.elem_type
    if wanted != TensorProto.FLOAT:
        raise ModelError(f"{source}: it does not take 32-bit pixels; give the .pt it was made of")
    if not any(node.op_type == "Conv" for node in model.graph.node):
        raise ModelError(f"{source}: it has no convolutions to make 8 bit")


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # comes without types
    """Prepared pictures as ONNX Runtime asks for them."""

    def __init__(self, name: str, rows: Iterable[UInt8]) -> None:
        self._name = name
        self._rows: Iterator[UInt8] = iter(rows)

    def get_next(self) -> dict[str, Any] | None:
        """The next picture; None behind the last."""
        row = next(self._rows, None)
        return None if row is None else {self._name: row.astype(np.float32) / np.float32(255)}
