"""Which convolutions are made 8 bit, and which models cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from stages.detect.onnx_backend import is_quantized
from stages.detect.quantize import last_convolutions, quantize
from stages.errors import ModelError

KIND = TensorProto.FLOAT


def conv(name: str, source: str) -> NodeProto:
    return helper.make_node("Conv", [source, f"{name}.weight"], [name], name)


def model(*nodes: NodeProto, answers: tuple[str, ...], dfl: str = "", kind: int = KIND) -> ModelProto:
    """4 channels in and out of each convolution, but for `dfl`, which sums up."""
    rng = np.random.default_rng(0)
    weights = {
        node.input[1]: rng.normal(0, 0.5, (4, 4, 1, 1)).astype(np.float32) for node in nodes if node.op_type == "Conv"
    }
    if dfl:
        weights[f"{dfl}.weight"] = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("images", kind, [None, 4, 8, 8])],
        [helper.make_tensor_value_info(name, kind, None) for name in answers],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def stored(made: ModelProto, path: Path) -> Path:
    onnx.save(made, path)
    return path


def rows(count: int = 3) -> list[np.ndarray]:
    return [np.random.default_rng(n).integers(0, 256, (1, 4, 8, 8), np.uint8) for n in range(count)]


@pytest.mark.parametrize(
    ("made", "last"),
    [
        pytest.param(model(conv("a", "images"), conv("b", "a"), answers=("b",)), ["b"], id="one behind another"),
        pytest.param(
            model(
                conv("a", "images"),
                conv("boxes", "a"),
                helper.make_node("Softmax", ["boxes"], ["spread"], "softmax", axis=1),
                conv("dfl", "spread"),
                conv("scores", "a"),
                helper.make_node("Sigmoid", ["scores"], ["sure"], "sigmoid"),
                helper.make_node("Concat", ["dfl", "sure"], ["answer"], "concat", axis=1),
                answers=("answer",),
                dfl="dfl",
            ),
            ["boxes", "dfl", "scores"],
            id="a head: the one that sums up a distribution, and those before it",
        ),
        pytest.param(
            model(
                conv("a", "images"),
                helper.make_node("Shape", ["a"], ["size"], "shape"),
                conv("b", "a"),
                helper.make_node("Reshape", ["b", "size"], ["answer"], "reshape"),
                answers=("answer",),
            ),
            ["b"],
            id="whose size alone is asked for is not the last",
        ),
    ],
)
def test_the_last_convolutions_are_found(made: ModelProto, last: list[str]) -> None:
    assert last_convolutions(made) == last


def test_what_is_not_last_works_in_8_bits_and_answers_nearly_the_same(tmp_path: Path) -> None:
    import onnxruntime

    made = model(conv("a", "images"), conv("b", "a"), conv("c", "b"), answers=("c",))
    entry = made.metadata_props.add()
    entry.key, entry.value = "names", "{0: 'bottle'}"
    source, target = stored(made, tmp_path / "net.onnx"), tmp_path / "net8.onnx"
    quantize(source, target, rows())
    small = onnx.load(target)
    assert is_quantized(small)
    assert not is_quantized(onnx.load(source))
    inputs = {node.name: node.input[0] for node in small.graph.node if node.op_type == "Conv"}
    assert {name: "Dequantize" in read for name, read in inputs.items()} == {"a": True, "b": True, "c": False}
    assert {entry.key: entry.value for entry in small.metadata_props}["names"] == "{0: 'bottle'}"
    fed = {"images": rows(4)[3].astype(np.float32) / 255}
    was, now = (onnxruntime.InferenceSession(path).run(None, fed)[0] for path in (source, target))
    assert np.abs(now - was).max() < 0.03 * np.abs(was).max()


def test_what_is_8_bit_already_is_refused(tmp_path: Path) -> None:
    source, once = (
        stored(model(conv("a", "images"), conv("b", "a"), answers=("b",)), tmp_path / "n.onnx"),
        tmp_path / "once.onnx",
    )
    quantize(source, once, rows())
    with pytest.raises(ModelError, match=r"once.onnx: it computes in 8 bits already"):
        quantize(once, tmp_path / "twice.onnx", rows())


def test_16_bit_is_refused(tmp_path: Path) -> None:
    half = stored(model(conv("a", "images"), answers=("a",), kind=TensorProto.FLOAT16), tmp_path / "half.onnx")
    with pytest.raises(ModelError, match=r"half.onnx: it does not take 32-bit pixels; give the .pt"):
        quantize(half, tmp_path / "no.onnx", rows())


def test_one_without_convolutions_is_refused(tmp_path: Path) -> None:
    plain = stored(model(helper.make_node("Relu", ["images"], ["a"], "relu"), answers=("a",)), tmp_path / "plain.onnx")
    with pytest.raises(ModelError, match="no convolutions"):
        quantize(plain, tmp_path / "no.onnx", rows())
