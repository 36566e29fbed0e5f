"""What cannot run is told before anything is started."""

import socket
from pathlib import Path

import pytest

from pipeline.config_urls import config_for_urls
from pipeline.preflight import ClusterUnavailable, require_cluster, require_weights
from stages.errors import ModelError

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"


def test_weights_that_are_a_pointer_are_refused_with_file_and_cure(tmp_path: Path) -> None:
    weights = tmp_path / "parts.pt"
    weights.write_bytes(LFS_POINTER)
    config = config_for_urls(["rtsp://127.0.0.1:1/cam"], str(weights))
    with pytest.raises(ModelError, match=r"parts.pt: a Git LFS pointer.*git lfs pull"):
        require_weights(config)


def test_the_shipped_weights_pass() -> None:
    require_weights(config_for_urls(["rtsp://127.0.0.1:1/cam"]))


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_cluster_is_looked_for_where_it_is_said_to_be(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = form.format(server.getsockname()[1])
        require_cluster(address)
    with pytest.raises(ClusterUnavailable, match=f"no Ray cluster at {address} .Connection refused"):
        require_cluster(address)


def test_other_forms_of_address_are_left_to_ray() -> None:
    require_cluster("auto")
