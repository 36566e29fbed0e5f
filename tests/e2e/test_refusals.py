"""What `rayline up` can tell before it starts anything: it ends with one sentence, and no Ray was begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Rayline

BUSY_S = 60.0  # a few seconds of imports, on a machine that has other things to do


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("bad.pt", b"\0" * 20_000, "truncated or damaged", id="damaged"),
        pytest.param("part.pt", None, "truncated or damaged", id="half copied"),
        pytest.param(
            "pointer.pt",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "git lfs pull",
            id="LFS pointer",
        ),
        pytest.param("empty.pt", b"", "the file is empty", id="empty"),
    ],
)
def test_weights_that_are_none_end_it_with_one_sentence(
    rayline: Rayline, clip: Path, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    weights = tmp_path / name
    shipped = Path("pipeline/demo/weights/bottles.pt")
    weights.write_bytes(shipped.read_bytes()[:100_000] if content is None else content)
    refused = rayline.run("up", clip, "--weights", weights, timeout_s=BUSY_S)
    assert refused.process.returncode == 1
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert f"rayline: {weights}: " in refused.stderr
    assert words in refused.stderr


def test_missing_weights_are_a_wrong_command(rayline: Rayline, clip: Path, tmp_path: Path) -> None:
    refused = rayline.run("up", clip, "--weights", tmp_path / "absent.pt", timeout_s=BUSY_S)
    assert refused.process.returncode == 2
    assert "absent.pt: no such file" in refused.stderr


def test_a_redis_that_does_not_answer_ends_it_before_anything_starts(rayline: Rayline, clip: Path) -> None:
    refused = rayline.run("up", clip, "--redis", "redis://:hush-hush@127.0.0.1:1/0", timeout_s=BUSY_S)
    assert refused.process.returncode == 1
    assert "redis at 127.0.0.1:1" in refused.stderr
    assert "hush-hush" not in refused.output
    assert "Traceback" not in refused.output


def test_a_cluster_that_is_not_there_ends_it(rayline: Rayline, clip: Path) -> None:
    refused = rayline.run("up", clip, "--address", "127.0.0.1:1", timeout_s=BUSY_S)
    assert refused.process.returncode == 1
    assert "no Ray cluster at 127.0.0.1:1" in refused.stderr


def test_an_annotated_video_that_cannot_be_written_is_a_wrong_command(rayline: Rayline, clip: Path) -> None:
    refused = rayline.run("up", clip, "--save", "absent/annotated.mp4", timeout_s=BUSY_S)
    assert refused.process.returncode == 2
    assert "absent/annotated.mp4 cannot be written" in refused.stderr
