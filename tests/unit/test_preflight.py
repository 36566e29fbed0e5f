"""What cannot run is told before anything is started."""

import socket
from pathlib import Path

import pytest

from pipeline.config_urls import config_for_urls
from pipeline.control.settings import ApiSettings
from pipeline.preflight import (
    ClusterUnavailable,
    NoRoom,
    PortTaken,
    require_cluster,
    require_port,
    require_proxies,
    require_room,
    require_weights,
)
from stages.errors import ModelError
from tests.unit.config.site import SITE, config_from

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


ELSEWHERE = SITE + "redis: {url: 'redis://192.0.2.9:6379/0'}\n"


@pytest.mark.parametrize(
    ("graph", "nodes", "told"),
    [
        pytest.param("{}", [{"CPU": 0.5}, {"memory": 1e9}], "asks for 0.95 cores, the Ray cluster has 0.5", id="cores"),
        pytest.param("{detect_gpus: 1}", [{"CPU": 8, "GPU": 0.5}], "asks for 1 GPUs, .* has 0.5", id="GPUs"),
        pytest.param(
            "{detect_replicas: {max: 4}}",
            [{"CPU": 1}, {"CPU": 1}],
            "asks for 2.45 cores, .* has 2",
            id="the most of all",
        ),
        pytest.param("{detect_cpus: 6}", [{"CPU": 4}, {"CPU": 4}], "process asks for 6 cores, no machine", id="split"),
        pytest.param(
            "{detect_cpus: 2, detect_gpus: 1}",
            [{"CPU": 8}, {"CPU": 1, "GPU": 1}],
            "asks for 2 cores and 1 GPUs, no machine",
            id="cores here and GPUs there",
        ),
    ],
)
def test_a_graph_that_a_cluster_can_never_place_is_refused(
    graph: str, nodes: list[dict[str, float]], told: str
) -> None:
    with pytest.raises(NoRoom, match=told):
        require_room(config_from(f"{ELSEWHERE}graph: {graph}\n"), nodes)


def test_a_graph_that_fits_passes_and_so_does_one_that_fills_the_cluster() -> None:
    require_room(config_from(ELSEWHERE), [{"CPU": 0.5}, {"CPU": 0.45}])
    require_room(config_from(f"{ELSEWHERE}graph: {{detect_gpus: 0.5}}\n"), [{"CPU": 2}, {"CPU": 2, "GPU": 1}])


def test_a_redis_that_only_one_machine_reaches_is_refused_for_a_cluster_of_two() -> None:
    require_room(config_from(SITE), [{"CPU": 4}])
    with pytest.raises(NoRoom, match=r"2 machines .* set redis\.url"):
        require_room(config_from(SITE), [{"CPU": 4}, {"CPU": 4}])


@pytest.mark.parametrize(
    ("host", "port", "proxies", "why"),
    [
        pytest.param("0.0.0.0", 8000, 1, "listens on 0.0.0.0:8000", id="another address"),
        pytest.param("127.0.0.1", 9000, 1, "listens on 127.0.0.1:9000", id="another port"),
        pytest.param("127.0.0.1", 8000, 0, "runs without HTTP", id="no proxies"),
    ],
)
def test_a_serve_that_runs_already_and_listens_elsewhere_is_told(host: str, port: int, proxies: int, why: str) -> None:
    require_proxies(ApiSettings(), "127.0.0.1", 8000, 2)
    with pytest.raises(PortTaken, match=why):
        require_proxies(ApiSettings(), host, port, proxies)


def test_a_port_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTaken, match=r"api\.port"):
        require_port(ApiSettings(port=taken.getsockname()[1]))
