"""Pictures to learn from: crops of the rendered line as a camera's stream would show them, with their boxes."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.demo.line import BottleLine, Defect, TruthBox
from pipeline.demo.render import CLASS_NAMES, Renderer

Pixels = NDArray[np.uint8]

MODEL_SIZE = (416, 256)  # width and height of the model's input for a 16:9 picture
CROP = 256  # pixels, square: the full height of the input
PADDING = 114
KEPT_SHARE = 0.4  # of a box must be inside the crop to be learnt
SEQUENCE = 7  # pictures encoded together; the late ones look like the middle of a stream
HELD_OUT = 1_000_000  # seeds from here on are never trained on
CROPS_PER_SEED = 10
WATCHED = 32
OTHERS_STEP = 8  # one in so many crops without anything rare goes with those that have it


@dataclass(frozen=True)
class Fit:
    """How a picture lies in the model's input: scaled, then centred between bars."""

    scale: float
    left: int
    top: int

    def to_input(self, box: TruthBox) -> tuple[float, float, float, float]:
        """The box in the input's pixels."""
        x1, y1, x2, y2 = (value * self.scale for value in box.xyxy)
        return x1 + self.left, y1 + self.top, x2 + self.left, y2 + self.top


@dataclass(frozen=True)
class Sample:
    """One crop and what is in it."""

    picture: Pixels  # (CROP, CROP, 3) RGB
    boxes: list[tuple[int, float, float, float, float]]  # class, x1, y1, x2, y2 in the crop's pixels


def letterbox(picture: Pixels, interpolation: int = cv2.INTER_LINEAR) -> tuple[Pixels, Fit]:
    """(H, W, 3) to (256, 416, 3): the whole picture, its shape kept, bars where it does not reach."""
    height, width = picture.shape[:2]
    scale = min(MODEL_SIZE[0] / width, MODEL_SIZE[1] / height)
    size = round(width * scale), round(height * scale)
    fit = Fit(scale, (MODEL_SIZE[0] - size[0]) // 2, (MODEL_SIZE[1] - size[1]) // 2)
    out = np.full((MODEL_SIZE[1], MODEL_SIZE[0], 3), PADDING, np.uint8)
    out[fit.top : fit.top + size[1], fit.left : fit.left + size[0]] = cv2.resize(
        picture, size, interpolation=interpolation
    )
    return out, fit


def through_codec(pictures: Sequence[Pixels], fps: int, bit_rate: int) -> list[Pixels]:
    """The pictures as they come out of an H.264 stream with a camera's settings."""
    height, width = pictures[0].shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    decoder = av.CodecContext.create("h264", "r")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, fps), Fraction(fps), bit_rate
    encoder.thread_count = decoder.thread_count = 1
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    packets = []
    for number, picture in enumerate(pictures):
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def samples(seed: int) -> Iterator[Sample]:
    """`CROPS_PER_SEED` crops of one line, most of them around a part with a defect, for those are rare on the belt."""
    rng = np.random.default_rng((seed, 4))
    line = BottleLine(seed)
    renderer = Renderer(line)
    for _ in range(CROPS_PER_SEED // 2):
        t_s, centre = _moment(rng, line)
        fps = int(rng.choice([10, 15, 30]))
        times = [t_s + (number - SEQUENCE + 1) / fps for number in range(SEQUENCE)]
        shown = through_codec([renderer.render(each) for each in times], fps, int(rng.uniform(0.8e6, 2.5e6)))
        for number in (int(rng.integers(2, 5)), SEQUENCE - 1):
            yield _crop(rng, shown[number], line.boxes_at(times[number]), centre)


def _moment(rng: np.random.Generator, line: BottleLine) -> tuple[float, float]:
    """When to look, and at which fraction of the picture's width."""
    start = float(rng.uniform(10, 3000))
    if rng.random() < 0.2:
        return start, float(rng.uniform(0, 1))
    wanted = Defect(rng.choice([Defect.MISSING_CAP, Defect.LOW_FILL, Defect.MISSING_LABEL,
                                Defect.CROOKED_LABEL, Defect.CROOKED_LABEL, Defect.DENT, Defect.DENT]))  # fmt: skip
    part = next(part for part in line.parts(start, start + 60) if wanted in part.defects)
    leaves = part.trigger_at_s + 0.35 * line.width / line.speed_at(part.trigger_at_s) / line.scale
    t_s = float(rng.uniform(part.entered_at_s + 0.3, leaves))
    whole = next(box.xyxy for box in line.boxes_at(t_s) if box.part == part.index)
    return t_s, (whole[0] + whole[2]) / 2 / line.width


def _crop(rng: np.random.Generator, picture: Pixels, boxes: Sequence[TruthBox], centre: float) -> Sample:
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.96, 1.04, 3)
    varied = np.clip(picture * gain + rng.normal(0, rng.uniform(0, 3), picture.shape), 0, 255).astype(np.uint8)
    fitted, fit = letterbox(varied, cv2.INTER_AREA if rng.random() < 0.3 else cv2.INTER_LINEAR)
    middle = centre * MODEL_SIZE[0] + rng.uniform(-0.4, 0.4) * CROP
    left = int(np.clip(middle - CROP / 2, 0, MODEL_SIZE[0] - CROP))
    kept = []
    for box in boxes:
        x1, y1, x2, y2 = fit.to_input(box)
        inside = max(0.0, x1 - left), y1, min(float(CROP), x2 - left), y2
        if inside[2] - inside[0] >= KEPT_SHARE * (x2 - x1) / box.visible:
            kept.append((CLASS_NAMES.index(box.label), *inside))
    return Sample(np.ascontiguousarray(fitted[:, left : left + CROP]), kept)


def write_dataset(folder: Path, seeds: Sequence[int], workers: int = 2) -> None:
    """Render the seeds' crops into a folder in the trainer's layout, described by `all.yaml` and `rare.yaml`."""
    images, labels = folder / "images", folder / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(_write_seed, images, labels), seeds))
    names = [each.stem for each in sorted(images.iterdir())]
    rare = [name for name in names if _shows(labels / f"{name}.txt", {"dent", "crooked_label"})]
    others = [name for name in names if name not in set(rare)]
    # The trainer insists on validating once at its end; a few pictures do, the measuring proper is done elsewhere.
    for title, chosen in {"watched": names[:WATCHED], "all": names, "rare": rare + others[::OTHERS_STEP]}.items():
        (folder / f"{title}.txt").write_text("".join(f"./images/{name}.png\n" for name in chosen))
        content = {"path": str(folder.resolve()), "train": f"{title}.txt", "val": "watched.txt"}
        # JSON is YAML.
        (folder / f"{title}.yaml").write_text(json.dumps(content | {"names": dict(enumerate(CLASS_NAMES))}))


def _shows(labels: Path, names: set[str]) -> bool:
    return any(CLASS_NAMES[int(line.split()[0])] in names for line in labels.read_text().splitlines())


def _write_seed(images: Path, labels: Path, seed: int) -> None:
    cv2.setNumThreads(1)
    for number, sample in enumerate(samples(seed)):
        name = f"{seed:06d}-{number:02d}"
        cv2.imwrite(str(images / f"{name}.png"), sample.picture[..., ::-1])
        lines = []
        for kind, x1, y1, x2, y2 in sample.boxes:
            shares = np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]) / CROP
            lines.append(" ".join([str(kind), *(f"{share:.6f}" for share in shares)]))
        (labels / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
