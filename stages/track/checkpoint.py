"""Tracks as bytes and back: fixed little-endian records, small enough to write with every frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

VERSION = 1
HISTORY = 5  # sightings an observation-centric track keeps at most

_WHOLE = ("own_id", "frame_id", "start_frame", "state", "sightings")
_CORE: list[Any] = [
    ("own_id", "<i4"),
    ("frame_id", "<i4"),
    ("start_frame", "<i4"),
    ("state", "u1"),
    ("sightings", "u1"),
    ("is_activated", "?"),
    ("mean", "<f4", (8,)),
    ("covariance", "<f4", (12,)),
]
_HISTORY: list[Any] = [
    ("saved_mean", "<f4", (8,)),
    ("saved_covariance", "<f4", (12,)),
    ("direction", "<f4", (2,)),  # NaN: not known yet
    ("observed_frame", "<i4", (HISTORY,)),  # -1: no sighting in this place
    ("observed_xyxy", "<f4", (HISTORY, 4)),
]
_RECORDS = {"core": np.dtype(_CORE), "history": np.dtype(_CORE + _HISTORY)}

Float64 = npt.NDArray[np.float64]
Row = Any  # one record of a numpy structured array


def pack_tracks(tracks: Sequence[Any], with_history: bool) -> dict[str, Any]:
    """`v`, `record` (core or history) and `tracks` (bytes): 95 bytes a track, 283 with its history."""
    record = "history" if with_history else "core"
    rows = np.zeros(len(tracks), _RECORDS[record])
    for row, track in zip(rows, tracks, strict=True):
        _pack_core(row, track)
        if with_history:
            _pack_history(row, track)
    return {"v": VERSION, "record": record, "tracks": rows.tobytes()}


def unpack_tracks(checkpoint: Mapping[str, Any], with_history: bool, blank: Callable[[], Any]) -> list[Any]:
    """The tracks of a checkpoint, each written onto a `blank()` one. Raises ValueError if it cannot be read."""
    tracks = []
    for row in _rows(checkpoint, "history" if with_history else "core"):
        track = blank()
        _unpack_core(row, track)
        if with_history:
            _unpack_history(row, track)
        tracks.append(track)
    return tracks


def round_state(tracks: Sequence[Any]) -> None:
    """Bring filter states to what a record can hold, so that a restored tracker has bit for bit the same future."""
    if not tracks:
        return
    means = np.array([t.mean for t in tracks], np.float32).astype(np.float64)
    covariances = np.array([t.covariance for t in tracks], np.float32).astype(np.float64) * _KEPT
    covariances[:, _AXES + 4, _AXES] = covariances[:, _AXES, _AXES + 4]
    for track, mean, covariance in zip(tracks, means, covariances, strict=True):
        track.mean, track.covariance = mean, covariance
        if getattr(track, "_saved_mean", None) is not None:
            track._saved_mean, track._saved_covariance = _rounded(track._saved_mean, track._saved_covariance)


def _rows(checkpoint: Mapping[str, Any], expected: str) -> npt.NDArray[Any]:
    try:
        version, record, data = checkpoint["v"], checkpoint["record"], checkpoint["tracks"]
    except (KeyError, TypeError) as exc:
        raise ValueError(f"not a tracker checkpoint: {exc!r}") from exc
    if version != VERSION or record != expected:
        raise ValueError(
            f"tracker checkpoint version {version!r} ({record!r}), this build reads {VERSION} ({expected})"
        )
    if not isinstance(data, bytes) or len(data) % _RECORDS[expected].itemsize:
        raise ValueError(f"tracker checkpoint is cut: records of {_RECORDS[expected].itemsize} bytes expected")
    return np.frombuffer(data, _RECORDS[expected])


def _pack_core(row: Row, track: Any) -> None:
    for name in _WHOLE:
        row[name] = getattr(track, name)
    row["is_activated"] = track.is_activated
    row["mean"], row["covariance"] = track.mean, _pack_covariance(track.covariance)


def _unpack_core(row: Row, track: Any) -> None:
    for name in _WHOLE:
        setattr(track, name, int(row[name]))
    track.is_activated = bool(row["is_activated"])
    track.mean, track.covariance = row["mean"].astype(np.float64), _unpack_covariance(row["covariance"])


def _pack_history(row: Row, track: Any) -> None:
    row["saved_mean"], row["saved_covariance"] = track._saved_mean, _pack_covariance(track._saved_covariance)
    row["direction"] = np.nan if track.velocity is None else track.velocity
    row["observed_frame"] = -1
    for place, frame in enumerate(sorted(track.observations)[-HISTORY:]):
        row["observed_frame"][place], row["observed_xyxy"][place] = frame, track.observations[frame]


def _unpack_history(row: Row, track: Any) -> None:
    track._saved_mean = row["saved_mean"].astype(np.float64)
    track._saved_covariance = _unpack_covariance(row["saved_covariance"])
    track.velocity = None if np.isnan(row["direction"][0]) else row["direction"].copy()
    sightings = zip(row["observed_frame"], row["observed_xyxy"], strict=True)
    track.observations = {int(frame): box.copy() for frame, box in sightings if frame >= 0}
    track.last_observation = track.observations[max(track.observations)]


# The filters treat x, y, width (or aspect) and height apart: of the 8x8 covariance only the diagonal and the four
# position-velocity terms are ever other than zero, so 12 numbers stand for 64.
_AXES = np.arange(4)
_KEPT = np.eye(8) + np.eye(8, k=4) + np.eye(8, k=-4)


def _pack_covariance(covariance: Float64) -> Float64:
    return np.concatenate([covariance.diagonal(), covariance[_AXES, _AXES + 4]])


def _unpack_covariance(packed: npt.NDArray[Any]) -> Float64:
    covariance = np.diag(packed[:8].astype(np.float64))
    covariance[_AXES, _AXES + 4] = covariance[_AXES + 4, _AXES] = packed[8:]
    return covariance


def _rounded(mean: Float64, covariance: Float64) -> tuple[Float64, Float64]:
    packed = _pack_covariance(covariance).astype(np.float32)
    return mean.astype(np.float32).astype(np.float64), _unpack_covariance(packed)
