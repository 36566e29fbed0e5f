"""The trained model over one picture, in the geometry the pipeline uses, for measuring it."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.demo.dataset import letterbox

NMS_IOU = 0.6
FLOOR = 0.01  # scores below are never looked at


@dataclass(frozen=True)
class Seen:
    """What the model saw in one picture, best first."""

    xyxy: NDArray[np.float32]  # (N, 4) source pixels
    score: NDArray[np.float32]  # (N,)
    kind: NDArray[np.int64]  # (N,) index into CLASS_NAMES

    def above(self, score: float) -> "Seen":
        """Those with at least this score."""
        keep = self.score >= score
        return Seen(self.xyxy[keep], self.score[keep], self.kind[keep])


class Watcher:
    """Loads weights once, then looks at pictures."""

    def __init__(self, weights: Path, threads: int = 2) -> None:
        os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="false")
        import torch
        from ultralytics.nn.autobackend import AutoBackend
        from ultralytics.utils.nms import non_max_suppression

        torch.set_num_threads(threads)
        self._torch = torch
        self._suppress = non_max_suppression
        self._model = AutoBackend(str(weights), device=torch.device("cpu"), fp16=False, fuse=True, verbose=False)
        self._model.eval()
        self.names: dict[int, str] = dict(self._model.names)

    def look(self, picture: NDArray[np.uint8]) -> Seen:
        """Boxes in a (H, W, 3) RGB picture."""
        torch = self._torch
        fitted, fit = letterbox(picture)
        with torch.inference_mode():
            batch = torch.from_numpy(fitted).permute(2, 0, 1)[None].float() / 255
            found = self._suppress(self._model(batch), conf_thres=FLOOR, iou_thres=NMS_IOU, max_det=100)[0].numpy()
        offset = np.array([fit.left, fit.top, fit.left, fit.top], np.float32)
        xyxy = (found[:, :4] - offset) / np.float32(fit.scale)
        limit = np.array([picture.shape[1], picture.shape[0]] * 2, np.float32)
        return Seen(np.clip(xyxy, 0, limit), found[:, 4], found[:, 5].astype(np.int64))
