"""What a machine has that Rayline needs or can use."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from pipeline.sinks.errors import SinkError
from pipeline.sinks.redis_client import RedisLink, RedisSettings

OK, WARNING, MISSING = "ok", "warning", "missing"

OLDEST_REDIS = (6, 2)
_GIB = 1 << 30
_LEAST_SHM = 512 * 1024 * 1024
_LEAST_MEMORY = 4 * _GIB
_DECODERS = ("h264", "hevc", "mjpeg", "mpeg4", "av1")
_NVIDIA = Path("/proc/driver/nvidia")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do where that is not enough."""

    name: str
    status: str  # ok | warning: works, could be better | missing: Rayline will not run well without
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """All but Redis. Takes a few seconds: the model runtimes are imported to see whether they load."""
    return [
        _python(),
        _cores(),
        _memory(),
        _shm(),
        _gpu(),
        _ray(),
        _codecs(),
        *_runtimes(),
        _auto(),
        _embedded_redis(),
        _model(),
    ]


async def redis_check(settings: RedisSettings) -> Check:
    """Whether a Redis answers there and is new enough. Not having one is fine: Rayline can start its own."""
    link = RedisLink(settings)
    try:
        async with link.use() as client:
            info = await client.info("server")
    except SinkError as exc:
        advice = "fine where the config says `redis: {url: embedded}`; else start it, or name another with --redis"
        return Check("redis", WARNING, str(exc), advice)
    finally:
        await link.close()
    told = str(info.get("redis_version", "0"))
    place = f"{told} at {settings.address}"
    if tuple(int(part) for part in told.split(".")[:2]) < OLDEST_REDIS:
        return Check("redis", MISSING, place, "Rayline needs Redis 6.2 or later")
    return Check("redis", OK, place)


def _python() -> Check:
    found = f"Rayline {_version('rayline') or '?'}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    return Check("python", OK, found)


def _cores() -> Check:
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        return Check(
            "cores", WARNING, f"{cores}", "decoding and detecting will take turns; two is the least for live use"
        )
    return Check("cores", OK, f"{cores} of {os.cpu_count()}")


def _memory() -> Check:
    memory = psutil.virtual_memory()
    found = f"{memory.available / _GIB:.1f} GiB free of {memory.total / _GIB:.1f}"
    if memory.available < _LEAST_MEMORY:
        return Check(
            "memory", WARNING, found, "Ray and a model want about 4 GiB; the system may end processes under load"
        )
    return Check("memory", OK, found)


def _shm() -> Check:
    try:
        room = os.statvfs("/dev/shm")  # noqa: S108 - Ray keeps pictures there; nothing is written here
    except OSError:
        return Check("shared memory", MISSING, "no /dev/shm", "Ray keeps pictures there: mount a tmpfs")
    free = room.f_bavail * room.f_frsize
    found = f"{free / _GIB:.1f} GiB free in /dev/shm"
    if free < _LEAST_SHM:
        return Check("shared memory", MISSING, found, "in a container give it --shm-size=2g, or Ray falls back to disk")
    return Check("shared memory", OK, found)


def _gpu() -> Check:
    folder = _NVIDIA / "gpus"
    cards = [_card_name(card) for card in sorted(folder.iterdir())] if folder.is_dir() else []
    if not cards:
        return Check("gpu", OK, "none: models run on the CPU, by OpenVINO or ONNX Runtime")
    found = ", ".join(cards)
    import torch

    if not torch.cuda.is_available():
        advice = f"torch {torch.__version__} cannot use it: install the CUDA build of torch, or update the driver"
        return Check("gpu", WARNING, found, advice)
    return Check("gpu", OK, f"{found}, CUDA {torch.version.cuda}")


def _card_name(card: Path) -> str:
    try:
        lines = (card / "information").read_text().splitlines()
    except OSError:
        return card.name
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), card.name)


def _ray() -> Check:
    found = _version("ray")
    if found is None:
        return Check("ray", MISSING, "not installed", "pip install 'ray[serve]'")
    return Check("ray", OK, found)


def _codecs() -> Check:
    try:
        import av
        from av.codec.hwaccel import hwdevices_available
    except ImportError as exc:
        return Check("codecs", MISSING, f"PyAV does not load: {exc}", "pip install av")
    lacking = [name for name in _DECODERS if not _decodes(name)]
    hardware = ", ".join(hwdevices_available()) or "none"
    found = (
        f"PyAV {av.__version__}: {', '.join(n for n in _DECODERS if n not in lacking)}; hardware built in: {hardware}"
    )
    if "h264" in lacking:
        return Check("codecs", MISSING, found, "this PyAV cannot read H.264: pip install --force-reinstall av")
    advice = f"cannot read {', '.join(lacking)}" if lacking else ""
    return Check("codecs", WARNING if lacking else OK, found, advice)


def _decodes(name: str) -> bool:
    import av

    try:
        av.Codec(name, "r")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _runtimes() -> list[Check]:
    checks = [
        _runtime("torch", "torch", "reads .pt weights and exports them: pip install torch", needed=True),
        _runtime("openvino", "openvino", "the fastest on most CPUs: pip install openvino"),
        _runtime("onnxruntime", "onnxruntime", "1.5 to 2 times as fast as torch on CPUs: pip install onnxruntime"),
    ]
    if (_NVIDIA / "gpus").is_dir():
        checks.append(_runtime("tensorrt", "tensorrt", "the fastest on NVIDIA GPUs: pip install tensorrt"))
    return checks


def _runtime(name: str, module: str, advice: str, *, needed: bool = False) -> Check:
    import importlib

    bad = MISSING if needed else WARNING
    installed = _version(name)
    if installed is None:
        return Check(name, bad, "not installed", advice)
    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as exc:  # what a shared library that does not fit raises
        return Check(name, bad, f"{installed} does not load: {str(exc).splitlines()[0]}", advice)
    return Check(name, OK, installed)


def _auto() -> Check:
    """What `runtime: auto`, `threads: 0` and `topology: auto` come to here, for the .pt weights of one model."""
    from pipeline.orchestrate.graph_settings import GraphSettings
    from stages.detect.backend import choose_runtime
    from stages.detect.machine import byte_arithmetic, has_cuda, usable_cpus
    from stages.detect.settings import Runtime
    from stages.detect.weights import WeightsFormat
    from stages.errors import ModelError

    cuda = has_cuda()
    try:
        runtime = choose_runtime(Runtime.AUTO, WeightsFormat.PT, cuda)
    except ModelError as exc:
        return Check("auto", MISSING, str(exc), "pip install openvino")
    graph = GraphSettings()
    topology = "fused" if graph.is_fused else "split"
    threads = "" if cuda else f", threads: {usable_cpus()}"
    found = f"runtime: {runtime}{threads}, topology: {topology}, detect_replicas: {graph.detect_replicas}"
    return Check("auto", OK, found, _why(runtime, cuda, None if cuda else byte_arithmetic()))


def _why(runtime: str, cuda: bool, bytes_by: str | None) -> str:
    """Why `auto` takes this one, what the rest follows from, and what would be faster still."""
    reach = "on a GPU" if cuda else "without a GPU; the model gets all cores this process may use"
    return (
        f"{runtime}: of what is installed the fastest {reach}; fused: the least CPU per frame while "
        "`preprocess_replicas` is 1. How many machines many cameras need: `rayline plan`"
        + (f". This CPU has {bytes_by.upper()}: a model in 8 bits is faster (`rayline quantize`)" if bytes_by else "")
    )


def _embedded_redis() -> Check:
    from pipeline.sinks.embedded_redis import find_binary

    try:
        return Check("own redis", OK, find_binary())
    except SinkError as exc:
        return Check("own redis", WARNING, str(exc), "needed only for `redis: {url: embedded}` and the demo")


def _model() -> Check:
    from pipeline.config_paths import builtin_weights

    path = builtin_weights("bottles")
    if path.exists():
        return Check("demo model", OK, f"{path.name}, {path.stat().st_size / 1e6:.1f} MB")
    return Check("demo model", WARNING, f"{path} is not there", "train it: python -m pipeline.demo.train")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
