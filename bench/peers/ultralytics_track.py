"""ultralytics' multi-stream track: one process, a batch of the newest frame of every camera, in lockstep.

Settings as its documentation gives them for live streams: `stream=True`, `stream_buffer=False`, `vid_stride=1`. It does
not tell when a frame was grabbed, so there is no latency.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime
import torch
import ultralytics
from ultralytics.utils.nms import TorchNMS

from bench.peers.adapter import IMAGE_SIZE, IOU, MIN_SCORE, Meter, answer, parser
from bench.peers.torchvision_ops import make_importable


def main() -> None:
    """Run until the time is over; one JSON line."""
    options = parser(__doc__).parse_args()
    torch.set_num_threads(options.threads)
    nms = "torchvision's" if make_importable(TorchNMS.nms) else "ultralytics' own"
    meter = Meter(options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        streams = Path(folder) / "cameras.streams"
        streams.write_text("\n".join(options.urls) + "\n")
        model = ultralytics.YOLO(options.weights, task="detect")
        results = model.track(
            source=str(streams),
            stream=True,
            stream_buffer=False,
            vid_stride=1,
            imgsz=IMAGE_SIZE,
            conf=MIN_SCORE,
            iou=IOU,
            tracker="bytetrack.yaml",
            device="cpu",
            verbose=False,
        )
        for number, _ in enumerate(results):
            if not meter.saw(number % len(options.urls)):
                break
        model.predictor.dataset.close()  # else its threads outlive the interpreter
    answer(
        meter.figures(),
        version=f"ultralytics {ultralytics.__version__}",
        runtime=f"{_runtime(options.weights)}, NMS {nms}",
        tracker="ByteTrack",
    )


def _runtime(weights: str) -> str:
    if weights.endswith(".pt"):
        return f"torch {torch.__version__}"
    return f"onnxruntime {onnxruntime.__version__}"


if __name__ == "__main__":
    main()
