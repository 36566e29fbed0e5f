"""What the parts of Rayline cost, as measured; figures and where they are from, nothing else."""

from __future__ import annotations

from enum import StrEnum

from pipeline.capacity.cost import Cost, Known

# All of it; times are CPU time, the least of two runs where there were two.
MACHINE = "2 cores of an AMD EPYC shared with other work, which makes CPU time longer, 2026-11-24"


class Codec(StrEnum):
    """How cameras code their pictures."""

    H264 = "h264"
    HEVC = "hevc"
    MJPEG = "mjpeg"


# CPU ms from packet to decoded frame, one thread, by (width, height): pipeline/capacity/av_decoding.py.
DECODE_MS = {
    Codec.H264: {(640, 360): 0.60, (1280, 720): 2.60, (1920, 1080): 5.9, (3840, 2160): 26.0},
    Codec.HEVC: {(640, 360): 0.56, (1280, 720): 1.95, (1920, 1080): 4.8},
    Codec.MJPEG: {(640, 360): 0.65, (1280, 720): 2.05, (1920, 1080): 4.4},
}
DECODE_SOURCE = "PyAV, a noisy scene at 25 frames/s"

# Bits a pixel asked of the encoders that made those scenes (they gave 0.08, 0.03 to 0.04 and 0.6 to 1.2), and what
# cameras are taken to send where nobody says: 4.1 Mbit/s of H.264 at 1920x1080 and 25 frames/s.
BITS_PER_PIXEL = {Codec.H264: 0.08, Codec.HEVC: 0.05, Codec.MJPEG: 1.0}

# CPU ms to copy a decoded frame out of the decoder, for MJPEG to limited range too.
PICTURE_MS = {
    Codec.H264: {(640, 360): 0.06, (1280, 720): 0.14, (1920, 1080): 0.27, (3840, 2160): 1.0},
    Codec.HEVC: {(640, 360): 0.05, (1280, 720): 0.13, (1920, 1080): 0.27},
    Codec.MJPEG: {(640, 360): 0.44, (1280, 720): 1.20, (1920, 1080): 2.51},
}

# CPU ms of letterbox to 640x384 and statistics: Preprocessor.prepare, batches of eight.
PREPARE_MS = {(640, 360): 0.42, (1280, 720): 0.83, (1920, 1080): 1.76, (3840, 2160): 2.65}
PREPARE_SOURCE = "Preprocessor.prepare to 640x384"

# Four RTSP cameras at 640x360 and 30 frames/s through the whole pipeline with a model of 64x64 that finds nothing,
# 20 s each at 2, 10 and all frames/s: what each process used, solved for its shares by frame and by batch.
RUNS = "three runs of four RTSP cameras, a model of 64x64"
FRAMES_PER_BATCH = Cost(1.1, Known.MEASURED, "four cameras out of step at 10 frames/s each, cores to spare")
BATCH_MS = Cost(17.6, Known.MEASURED, f"reader 6.8, detect 4.7, track 3.8, Ray's daemons 2.3; {RUNS}")
TAKE_MS = Cost(0.9, Known.MEASURED, f"reader, beside decoding; {RUNS}")
BOXES_MS = Cost(0.7, Known.MEASURED, f"detect, beside model and letterbox; {RUNS}")
TRACK_MS = Cost(1.0, Known.MEASURED, f"track, without objects; {RUNS}")
OBJECT_MS = Cost(0.3, Known.MEASURED, "track, five objects a frame, one run beside much other work")

# Cores that are busy whatever the cameras do.
HEAD_CORES = 0.05  # gcs, Serve's controller, the supervisor, dashboard: one run of four cameras
NODE_CORES = 0.02  # raylet and agents
SHARD_CORES = 0.0024  # of the supervisor, for each reader it asks once a second: 1 against 16 readers

# Redis 7.0 and 6.2, 10,000 entries written by the publish script, `MEMORY USAGE` over all samples.
MESSAGE_BYTES = 690  # a detection message without objects
OBJECT_BYTES = 89  # for each object in it
REDIS_OVERHEAD = 1.33  # the most of any run: with 0 to 20 objects, 1.10 to 1.33 times the message
REDIS_SOURCE = "10,000 entries of 0 to 20 objects in Redis 7.0 and 6.2, MEMORY USAGE, 2026-11-24"
REDIS_MS = 0.1  # CPU of Redis a frame, at two frames a batch: the runs above

# Memory, MB; shares of pages that processes have in common are counted once (PSS).
READER_MB = 145  # 16 readers of four cameras at 640x360
DETECT_MB = 460  # resident, yolo11n in OpenVINO
TRACK_MB = 410  # resident
NODE_MB = 520  # Ray's processes of a node, and 1.5 times that on the head
