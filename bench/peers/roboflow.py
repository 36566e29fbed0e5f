"""Roboflow's InferencePipeline with custom logic: its own cameras and batching, a YOLO in ONNX Runtime, supervision.

No API key and no call home. ByteTrack runs in the sink, beside the next batch. Latency starts at the frame's timestamp,
which the pipeline sets as it grabs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

import onnxruntime

from bench.peers.adapter import Meter, answer, parser
from bench.peers.torchvision_ops import make_importable
from bench.peers.yolo_onnx import YoloOnnx

make_importable()  # inference imports torchvision; what runs here needs nothing of it

import supervision  # noqa: E402
from inference import InferencePipeline  # noqa: E402
from streamvision.camera.entities import VideoFrame  # noqa: E402
from streamvision.stream.pipeline import SinkMode  # noqa: E402


class Sink:
    """Tracks and counts what the pipeline gives, and ends it when the time is over."""

    def __init__(self, meter: Meter, cameras: int) -> None:
        self.pipeline: Any = None
        self._meter = meter
        self._trackers = [supervision.ByteTrack() for _ in range(cameras)]

    def __call__(self, predictions: Sequence[Any], frames: Sequence[VideoFrame | None]) -> None:
        """One batch: an entry for each camera, None where it gave none."""
        for camera, (boxes, frame) in enumerate(zip(predictions, frames, strict=True)):
            if frame is None:
                continue
            found = supervision.Detections(boxes[:, :4], confidence=boxes[:, 4], class_id=boxes[:, 5].astype(int))
            self._trackers[camera].update_with_detections(found)
            age_s = (datetime.now(frame.frame_timestamp.tzinfo) - frame.frame_timestamp).total_seconds()
            if not self._meter.saw(camera, time.monotonic() - age_s):
                self.pipeline.terminate()
                return


def main() -> None:
    """Run until the time is over; one JSON line."""
    options = parser(__doc__)
    options.add_argument("--mode", default="auto", help="legacy, freshest, every_frame or auto")
    asked = options.parse_args()
    model, meter = YoloOnnx(asked.weights, asked.threads), Meter(asked.seconds)
    sink = Sink(meter, len(asked.urls))
    sink.pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=asked.urls,
        on_video_frame=lambda frames: model.detect([frame.image for frame in frames]),
        on_prediction=sink,
        sink_mode=SinkMode.BATCH,
        video_processing_mode=asked.mode,
    )
    sink.pipeline.start(use_main_thread=True)
    sink.pipeline.join()
    answer(
        meter.figures(),
        version=f"inference {version('inference-cpu')}, {asked.mode} mode",
        runtime=f"onnxruntime {onnxruntime.__version__}",
        tracker=f"ByteTrack of supervision {supervision.__version__}",
    )


if __name__ == "__main__":
    main()
