"""Trains the demo's detector from nothing on rendered pictures, and measures it on lines it has never seen.

`python -m pipeline.demo.train` renders, trains, measures and writes `weights/`; stopped half way, the same command goes
on from the last epoch. Training has two stages: on all crops, then gently on those with a dent or a crooked label and a
few others, for these are rare and slow to be learnt. `--measure` only measures the weights that are there and writes
their card.
"""

import argparse
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from pipeline.demo.card import write_card
from pipeline.demo.dataset import write_dataset
from pipeline.demo.measure import measure

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
MODEL = HERE / "weights" / "bottles.yaml"
WEIGHTS = HERE / "weights" / "bottles.pt"
FIRST_SEED = 10


def main() -> None:
    """The command line."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not options.measure:
        _train(options)
    figures = measure(WEIGHTS, workers=options.threads)
    figures["sha256"] = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    write_card(WEIGHTS.parent, figures)
    logger.info("%s", json.dumps(figures, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.demo.train", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the weights that are there, train nothing")
    parser.add_argument("--work", type=Path, default=Path("build/bottles"), help="folder for pictures and checkpoints")
    parser.add_argument("--seeds", type=int, default=240, help="lines to render, ten crops each")
    parser.add_argument("--epochs", type=int, default=13, help="over all crops")
    parser.add_argument("--refining-epochs", type=int, default=16, help="over the crops with the rare things")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def _train(options: argparse.Namespace) -> None:
    data = options.work / f"data-{options.seeds}"
    everything, rare = data / "all.yaml", data / "rare.yaml"
    if not rare.exists():  # written last, so it is only there when all pictures are
        logger.info("rendering %d lines into %s", options.seeds, data)
        write_dataset(data, range(FIRST_SEED, FIRST_SEED + options.seeds), workers=options.threads)
    work, threads = options.work.resolve(), options.threads
    first = _fit(MODEL, everything, work / "all", threads, epochs=options.epochs, lr0=0.002)
    # Without a biases' rate of zero the first steps would undo what the first stage learnt.
    second = _fit(first, rare, work / "rare", threads, epochs=options.refining_epochs, lr0=0.0008, warmup_bias_lr=0.0)
    export(second, WEIGHTS)


def _fit(start: Path, description: Path, folder: Path, threads: int, **schedule: float) -> Path:
    """Train from there, or go on with what was begun in the folder, and return the last checkpoint."""
    os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="false")
    import torch

    from pipeline.demo.torchvision_ops import ensure_torchvision

    ensure_torchvision()
    from ultralytics.models import YOLO

    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    last = folder / "weights" / "last.pt"
    finished = last.with_name("finished")
    if finished.exists():
        return last
    if last.exists():
        logger.info("going on from %s", last)
        YOLO(last).train(resume=True)
    else:
        YOLO(start, task="detect").train(
            data=str(description), project=str(folder.parent), name=folder.name, exist_ok=True,
            imgsz=256, batch=16, device=device, workers=0, cache="ram", seed=1, optimizer="AdamW",
            lrf=0.01, cos_lr=True, warmup_epochs=1.0, weight_decay=0.0005, mosaic=0.0, close_mosaic=0,
            fliplr=0.5, scale=0.08, translate=0.04, hsv_h=0.01, hsv_s=0.25, hsv_v=0.25,
            val=False, plots=False, amp=False, verbose=False, **schedule,
        )  # fmt: skip
    finished.touch()
    return last


def export(checkpoint: Path, target: Path) -> None:
    """The averaged weights of a checkpoint, half precision and without the optimizer, as a file the detector loads."""
    import torch

    saved: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model = (saved.get("ema") or saved["model"]).half().eval()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.criterion = None
    model.args = {"imgsz": 256, "task": "detect", "model": MODEL.name}
    kept = {"epoch": -1, "best_fitness": None, "model": model, "ema": None, "updates": None, "optimizer": None,
            "train_args": model.args, "date": None, "version": saved.get("version"),
            "license": "AGPL-3.0-or-later"}  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    torch.save(kept, part)
    part.replace(target)


if __name__ == "__main__":
    main()
