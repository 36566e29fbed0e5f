"""The words of the pipeline: frames, batches, detections, tracks and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NewType, Self

import numpy as np
import numpy.typing as npt

from stages.trace import Trace
from stages.verdicts import Verdict as Verdict

CameraId = NewType("CameraId", str)
LineId = NewType("LineId", str)

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]


class PixelFormat(StrEnum):
    """How a picture's bytes are laid out; what the decoder gave."""

    YUV420P = "yuv420p"  # (H * 3 / 2, W) uint8: full Y plane, then quarter U, quarter V (H and W even)
    NV12 = "nv12"  # (H * 3 / 2, W) uint8: full Y plane, then interleaved UV (H and W even)
    RGB24 = "rgb24"  # (H, W, 3) uint8, R G B
    GRAY8 = "gray8"  # (H, W) uint8


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as decoded. `data` has the shape its `format` tells; width and height in source pixels."""

    data: UInt8
    format: PixelFormat
    width: int
    height: int

    def __post_init__(self) -> None:
        expected = self._shape()
        if self.data.shape != expected or self.data.dtype != np.uint8:
            raise ValueError(
                f"a {self.format} picture of {self.width}x{self.height} needs uint8 {expected}, "
                f"got {self.data.dtype} {self.data.shape}"
            )

    def _shape(self) -> tuple[int, ...]:
        match self.format:
            case PixelFormat.YUV420P | PixelFormat.NV12:
                return (self.height * 3 // 2, self.width)
            case PixelFormat.RGB24:
                return (self.height, self.width, 3)
            case PixelFormat.GRAY8:
                return (self.height, self.width)


class Clock(StrEnum):
    """Whose clock `captured_at` was read from."""

    RTCP = "rtcp"  # the camera's own clock, by its RTCP sender reports
    ARRIVAL = "arrival"  # ours, when the packet came
    MEDIA = "media"  # the file's time stamps, counted from the start of the run
    MESSAGE = "message"  # the producer's time stamp in a message


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a frame stands in its source; strictly rises within one `source`.

    `source` names the road and its run: `live`, `file:<run identity>`, `kafka:<topic>/<partition>`.
    `major` and `minor` are (epoch, seq) live, (loop, frame) for files, (offset, sub-index) for Kafka.
    """

    source: str
    major: int
    minor: int

    def encode(self) -> str:
        """Text that sorts as the position does, within one source (Redis compares it as text)."""
        return f"{self.source}|{self.major:016d}|{self.minor:012d}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Inverse of `encode`. Raises ValueError if the text is not an encoded position."""
        source, major, minor = text.rsplit("|", 2)
        return cls(source, int(major), int(minor))

    @property
    def is_live(self) -> bool:
        """True where a lost frame cannot be asked for again."""
        return self.source == "live"


_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera. Times are Unix seconds, UTC."""

    camera_id: CameraId
    seq: int  # counts every frame the source gave in this epoch, dropped ones included: gaps show loss
    captured_at: float
    clock: Clock
    position: Position
    image: Picture
    received_at: float = 0.0  # wall clock when decoded; what latency is counted from when the clock is ours
    dropped: Mapping[str, int] = field(default_factory=lambda: dict(_NOTHING))  # since the frame before, by reason
    follows: Position | None = None  # the frame before it, where that can be read again; None: the first, or live
    decode_s: float = 0.0  # seconds its decoding took; 0: nobody measured


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """A camera's stream ended for good; per-camera state behind it is let go."""

    camera_id: CameraId
    last_seq: int
    reason: str
    follows: Position | None = None  # as of a frame


@dataclass(frozen=True, slots=True)
class CameraNotice:
    """A camera changed state; travels the road of its frames, so that it is told in order with them."""

    camera_id: CameraId
    number: int  # counts the camera's notices since the actor started; makes a resend recognisable
    at: float  # Unix seconds, UTC
    state: str
    reason: str
    seeing: bool  # False: parts may pass unseen from here on
    epoch: int  # Unix milliseconds of the run or epoch it was made in


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """What travels through the graph: frames of several cameras of one shard, in order per camera."""

    shard: str
    batch_no: int
    frames: tuple[Frame, ...]
    ends: tuple[EndOfStream, ...] = ()
    notices: tuple[CameraNotice, ...] = ()
    trace: Trace | None = None  # begun where the batch is one of those that are traced

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class Detections:
    """What a model saw in one frame: parallel arrays of N objects."""

    xyxy: Float32  # (N, 4) float32, x1 y1 x2 y2 in source pixels
    score: Float32  # (N,) float32, 0..1
    class_id: Int32  # (N,) int32, index into the model's class names

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or self.score.shape != (n,) or self.class_id.shape != (n,):
            raise ValueError(
                f"detections disagree: xyxy {self.xyxy.shape}, score {self.score.shape}, class_id {self.class_id.shape}"
            )

    @classmethod
    def empty(cls) -> Self:
        """Nothing seen: a value like any other."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))

    def __len__(self) -> int:
        return len(self.xyxy)

    def keep(self, mask: npt.NDArray[Any]) -> Detections:
        """Those the mask (N,) bool, or the indices, choose."""
        return Detections(self.xyxy[mask], self.score[mask], self.class_id[mask])


@dataclass(frozen=True, slots=True)
class Tracks:
    """Detections with an identity: parallel arrays of N objects, `track_id` counted per camera, -1 = untracked."""

    xyxy: Float32  # (N, 4) float32, x1 y1 x2 y2 in source pixels
    score: Float32  # (N,) float32
    class_id: Int32  # (N,) int32
    track_id: Int32  # (N,) int32

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if {self.score.shape, self.class_id.shape, self.track_id.shape} != {(n,)} or self.xyxy.shape != (n, 4):
            raise ValueError(f"tracks disagree: {n} boxes, {self.track_id.shape} ids")

    @classmethod
    def empty(cls) -> Self:
        """Nothing tracked."""
        none = Detections.empty()
        return cls(none.xyxy, none.score, none.class_id, np.zeros(0, np.int32))

    def __len__(self) -> int:
        return len(self.xyxy)

    def keep(self, mask: npt.NDArray[Any]) -> Tracks:
        """Those the mask (N,) bool, or the indices, choose."""
        return Tracks(self.xyxy[mask], self.score[mask], self.class_id[mask], self.track_id[mask])


@dataclass(frozen=True, slots=True)
class PictureStats:
    """The numbers camera health is judged by, measured in preprocess on the luma plane."""

    mean: float  # 0..255
    deviation: float  # standard deviation, 0..128
    sharpness: float  # variance of the Laplacian of a 1/2-scale luma
    thumbnail: bytes  # 16x12 luma means, row-major: equal thumbnails mean a frozen picture


class HealthState(StrEnum):
    """What the camera can see."""

    OK = "ok"
    BLACK = "black"
    COVERED = "covered"  # uniform, no structure, not black
    FROZEN = "frozen"
    BLURRED = "blurred"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class FrameFailed:
    """One frame could not be worked on; the others of its batch were."""

    reason: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is kept of a model's answers; may be something else from one batch to the next. As in `ModelSettings`."""

    min_score: float
    iou: float
    max_detections: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch ready for the model: one tensor for the frames that could be prepared."""

    tensor: UInt8  # (N, 3, h, w) uint8 RGB, letterboxed to the model's rectangle
    to_source: Float32  # (N, 4) float32: scale_x, scale_y, offset_x, offset_y; source = (model - offset) / scale
    source_wh: Int32  # (N, 2) int32, source pixels
    index: tuple[int, ...]  # (N,) which frame of the batch each tensor row is
    stats: tuple[PictureStats | FrameFailed, ...]  # one per frame of the batch
    took_ms: float = 0.0
    trace: Trace | None = None  # its batch's, so far
    shed: int = 0  # frames of the same cameras that found no room before these
    thresholds: Thresholds | None = None  # None: as the model's settings say

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True)
class Detected:
    """What detect answers for one batch: one entry per frame of the batch, in its order."""

    detections: tuple[Detections | FrameFailed, ...]
    stats: tuple[PictureStats | FrameFailed, ...]
    model: ModelInfo
    timings_ms: Mapping[str, float] = field(default_factory=dict)  # stage -> milliseconds, for the batch
    infer_ms: float = 0.0  # of `detect`, what the model's runtime took
    trace: Trace | None = None  # its batch's, so far


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model spoke."""

    name: str
    version: str
    sha256: str
    class_names: tuple[str, ...]
    variant: str = "live"  # live | canary | shadow
    runtime: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a camera. `event_id` is unique and the same on every replay."""

    event_id: str
    kind: str  # line_crossed | zone_entered | zone_left | camera_health | camera_state | recipe_changed | system
    at: float  # Unix seconds, UTC
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect seen on a part."""

    label: str
    score: float
    xyxy: tuple[float, float, float, float]  # source pixels, in the frame it was seen best
    part_xyxy: tuple[float, float, float, float] | None = None  # the part in that frame


@dataclass(frozen=True, slots=True)
class Inspection:
    """The one verdict a part gets. Times are Unix seconds, UTC."""

    inspection_id: str  # camera / epoch or run of birth / track id
    camera_id: CameraId
    station: str
    track_id: int
    verdict: Verdict
    reasons: tuple[str, ...]
    defects: tuple[Defect, ...]
    votes: Mapping[str, int]  # feature or defect -> frames it was seen in; "usable" -> frames that could vote
    captured_at: float  # when the part's centre crossed the trigger
    decided_at: float
    xyxy: tuple[float, float, float, float]  # the part at the trigger, source pixels
    position: Position
    seen_xyxy: tuple[float, float, float, float] | None = None  # the part in this frame, source pixels; None: not in it
    external_id: str | None = None
    recipe: str = ""  # it was judged by; empty: the one in force
    snapshot: str | None = None
    snapshot_sha256: str | None = None
    snapshot_xyxy: tuple[float, float, float, float] | None = None  # the part in the snapshot, the snapshot's pixels
    snapshot_error: str | None = None

    def with_snapshot(
        self,
        uri: str | None,
        sha256: str | None,
        error: str | None = None,
        xyxy: tuple[float, float, float, float] | None = None,
    ) -> Inspection:
        """The same verdict with its picture's address and where in it the part is, or the reason there is none."""
        return replace(self, snapshot=uri, snapshot_sha256=sha256, snapshot_error=error, snapshot_xyxy=xyxy)


@dataclass(frozen=True, slots=True)
class Uninspected:
    """A stretch of time in which the camera could not see; `until` None while it lasts."""

    interval_id: str
    camera_id: CameraId
    since: float
    until: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All that came of one frame; no pixels."""

    camera_id: CameraId
    seq: int
    captured_at: float
    clock: Clock
    position: Position
    size_wh: tuple[int, int]
    tracks: Tracks
    health: HealthState
    model: ModelInfo
    dropped: Mapping[str, int]
    timings_ms: Mapping[str, float]
    events: tuple[Event, ...] = ()
    inspections: tuple[Inspection, ...] = ()
    uninspected: tuple[Uninspected, ...] = ()
    error: str | None = None
