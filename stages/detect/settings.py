"""What a model version is set by; light to import, for the configuration reads it too."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stages.settings import Settings
from stages.values import Thresholds

Side = Annotated[int, Field(ge=32, le=4096, multiple_of=32)]


class Runtime(StrEnum):
    """What runs the model."""

    AUTO = "auto"  # TensorRT, else torch on a GPU; else OpenVINO, ONNX Runtime, torch
    TORCH = "torch"
    ONNX = "onnx"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


class ModelSettings(Settings):
    """One model version: its weights, what to keep of its answers, and how to run it."""

    weights: str = Field(
        description="Path or fsspec URI of a .pt, .onnx or .engine file or an OpenVINO folder. Only .pt can be "
        "exported to a faster runtime; the others run as they are. A URI needs sha256."
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="Digest of the weights file, checked before anything of it is read. Set: any change of the file is "
        "refused, and a .pt may hold classes of your own. Unset: any file is taken, but a .pt only if it is built of "
        "ultralytics and torch classes, for loading others runs their code.",
    )
    version: str = Field(
        "1", min_length=1, max_length=64, description="Told with every result; change it with the weights."
    )
    image_size: tuple[Side, Side] = Field(
        (384, 640),
        description="Height and width in pixels the model sees, multiples of 32. Larger finds smaller things; time "
        "grows with the area. 384 x 640 fits 16:9 pictures without waste.",
    )
    classes: tuple[str, ...] | None = Field(
        None, min_length=1, description="Names of the classes to keep. Fewer gives less to track; unset keeps all."
    )
    min_score: float = Field(
        0.25,
        ge=0.001,
        le=1,
        description="Lowest score kept. Lower finds more and tells more untrue; higher misses what is faint.",
    )
    iou: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Overlap (intersection over union) above which the weaker of two boxes of a class is dropped. "
        "Higher keeps things that stand close together; lower leaves fewer doubles.",
    )
    agnostic: bool = Field(
        False,
        description="Drop overlapping boxes of different classes too. On: one box for each thing, whatever it is "
        "called; off: a part and what sits on it both stay.",
    )
    max_detections: int = Field(
        300,
        ge=1,
        le=1000,
        description="Most boxes kept of one frame, best first. More costs time in tracking; fewer cuts crowds.",
    )
    runtime: Runtime = Field(
        Runtime.AUTO,
        description="auto takes the fastest this machine has; naming one refuses to start where it is missing.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="CPU threads the model may use; 0 = all this process may run on. More answers sooner "
        "until decoding starves; fewer leaves more for the rest.",
    )
    half: bool | None = Field(
        None,
        description="16-bit arithmetic: faster on a GPU, scores move in the third digit. Unset: on a GPU "
        "yes, on a CPU no (measured slower there).",
    )
    max_batch: int = Field(
        8,
        ge=1,
        le=256,
        description="Most frames the model takes at once. More fills a GPU better; costs memory and lets early "
        "frames wait.",
    )
    cache_dir: str | None = Field(
        None,
        description="Folder for exported models; unset: $XDG_CACHE_HOME/rayline/models. On a shared disk all "
        "replicas use one export; on a local one each machine makes its own.",
    )
    export_timeout_s: float = Field(
        600,
        gt=0,
        le=7200,
        description="Longest wait for an export, one's own or another process's. Longer suits TensorRT, which takes "
        "minutes; shorter tells sooner that something hangs.",
    )

    @property
    def thresholds(self) -> Thresholds:
        """Those of them that may change while the model runs."""
        return Thresholds(self.min_score, self.iou, self.max_detections)
