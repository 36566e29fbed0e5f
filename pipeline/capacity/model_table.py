"""Work and time of known models; figures and where they are from, nothing else."""

from __future__ import annotations

from stages.detect.settings import Runtime

# GFLOPs at 640x640, as https://docs.ultralytics.com/models publishes them for the fused models; ultralytics 8.4.190
# counts within 3 % of them for yolo11 and yolov8 before they are fused.
GFLOPS_640 = {
    "yolov8n": 8.7,
    "yolov8s": 28.6,
    "yolov8m": 78.9,
    "yolov8l": 165.2,
    "yolov8x": 257.8,
    "yolo11n": 6.5,
    "yolo11s": 21.5,
    "yolo11m": 68.0,
    "yolo11l": 86.9,
    "yolo11x": 194.9,
    "yolo26n": 5.4,
    "yolo26s": 20.7,
    "yolo26m": 68.2,
    "yolo26l": 86.4,
    "yolo26x": 193.9,
}

# Core-milliseconds an image, in batches of four on both cores: CPU time, middle of six rounds, beside much other work.
# With nothing else running yolo11n took 47 in OpenVINO (README, Speed): a plan made of these errs to too many cores.
CPU_SIZE = (384, 640)
CPU_SOURCE = "{runtime}, 640x384, random weights"
CPU_MS: dict[Runtime, dict[str, float]] = {
    Runtime.OPENVINO: {"yolo11n": 58.0, "yolo11s": 172.0, "yolo11m": 540.0, "yolo26n": 50.0, "yolov8n": 70.0},
    Runtime.ONNX: {"yolo11n": 103.0},  # its threads spin while they wait for each other
}

# Milliseconds an image at 640x640, batch 1, TensorRT in 16 bit, as ultralytics publishes them; not measured by us.
GPU_MS_640: dict[str, dict[str, float]] = {
    "t4": {
        "yolo11n": 1.5,
        "yolo11s": 2.5,
        "yolo11m": 4.7,
        "yolo11l": 6.2,
        "yolo11x": 11.3,
        "yolo26n": 1.7,
        "yolo26s": 2.5,
        "yolo26m": 4.7,
        "yolo26l": 6.2,
        "yolo26x": 11.8,
    },
    "a100": {"yolov8n": 0.99, "yolov8s": 1.20, "yolov8m": 1.83, "yolov8l": 2.39, "yolov8x": 3.53},
}
GPU_SOURCES = {
    "t4": "T4, TensorRT 10, batch 1, published at https://docs.ultralytics.com/models/yolo11 and /yolo26",
    "a100": "A100, TensorRT, batch 1, published at https://docs.ultralytics.com/models/yolov8",
}
