"""The whole command, as people run it."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest

from pipeline.demo.line import BottleLine
from pipeline.demo.render import Renderer
from tests.e2e.command import Rayline

CLIP_FRAMES, CLIP_FPS = 45, 15
EXPORTS = "RAYLINE_TEST_EXPORTS"


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are exported to, once for all commands; scripts/test-whole names one for all its parts."""
    shared = os.environ.get(EXPORTS)
    return Path(shared) if shared else tmp_path_factory.mktemp("exports")


@pytest.fixture
def rayline(tmp_path: Path, exports: Path) -> Rayline:
    """Runs `rayline ...`; what it would find of another Rayline on this machine is hidden from it."""
    return Rayline(tmp_path / "rayline", exports)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the bottle line."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    renderer = Renderer(BottleLine(7))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=CLIP_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for n in range(CLIP_FRAMES):
            picture = renderer.render(8 + n / CLIP_FPS)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
