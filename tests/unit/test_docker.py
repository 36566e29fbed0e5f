"""The image and the compose file: no engine here, so what they start, mount and leave out is held against the tree."""

from __future__ import annotations

import fnmatch
import importlib.util
import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import load_config
from pipeline.config_checks import review
from pipeline.config_machine import Machine
from pipeline.control.limits.heads import MOST_HEADER_BYTES
from pipeline.control.settings import ApiSettings
from pipeline.dashboard.settings import DashboardSettings
from pipeline.demo import server
from pipeline.local_ray import ENVIRONMENT
from tests.unit.command_line import parse

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PROXIES = {name: service for name, service in SERVICES.items() if "profiles" in service}
TRAEFIK = ("traefik.yaml", "rayline.yaml")  # what it starts with, what it may read again


def instructions(name: str) -> list[str]:
    """What stands behind each such instruction, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def environment(service: str) -> dict[str, str]:
    """As compose sets it on a machine whose environment says nothing."""
    given = SERVICES[service]["environment"]
    return {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in given.items()}


def test_the_image_starts_rayline_as_somebody_who_is_not_root() -> None:
    final_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    user = re.findall(r"^USER (\w+)$", final_stage, re.MULTILINE)
    assert user == ["rayline"]
    assert re.search(rf"useradd [^&]*\b{user[0]}\b", final_stage)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert instructions("ENTRYPOINT") == [f'["{name}"]' for name in scripts]
    assert instructions("STOPSIGNAL") == ["SIGINT"]


def test_the_image_has_the_pinned_versions_and_fetches_nothing_later() -> None:
    assert any("pip install -c constraints.txt ." in run for run in instructions("RUN"))
    assert "YOLO_OFFLINE=1" in DOCKERFILE
    assert "YOLO_AUTOINSTALL=false" in DOCKERFILE
    assert "://" not in DOCKERFILE  # where packages come from is the builder's to say


def test_a_cluster_of_this_image_guards_its_http_proxies() -> None:
    """They are started by whoever starts Serve there, which need not be `rayline up`."""
    name = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
    assert f"{name}={ENVIRONMENT[name]}" in DOCKERFILE


def test_the_image_has_the_libraries_rayline_needs() -> None:
    script = (ROOT / "scripts" / "debian-packages").read_text()
    needed = set(re.findall(r"run\) wanted=\(([^)]*)\)", script)[0].split()) - {"python3-venv"}
    (installed,) = [run for run in instructions("RUN") if "apt-get install" in run]
    assert needed <= set(installed.split())


def test_its_python_is_one_rayline_runs_on() -> None:
    for base in instructions("FROM"):
        version = re.match(r"python:3\.(\d+)-slim-\w+( AS \w+)?$", base)
        assert version is not None
        assert 11 <= int(version[1]) <= 13


def test_what_is_copied_reaches_the_builder() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [source for copy in instructions("COPY") if "--from" not in copy for source in copy.split()[:-1]]
    assert len(copied) >= 6
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), source


def test_nothing_the_package_needs_stays_behind() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = {source for copy in instructions("COPY") if "--from" not in copy for source in copy.split()[:-1]}
    packages = {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages | {project["project"]["readme"], *project["project"]["license-files"]} <= copied


def test_compose_has_rayline_a_redis_and_cameras() -> None:
    assert SERVICES.keys() - PROXIES.keys() == {"rayline", "redis", "cameras"}
    assert all(
        set(service["depends_on"]) <= SERVICES.keys() for service in SERVICES.values() if "depends_on" in service
    )
    named = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in named if not name.startswith((".", "$"))} == COMPOSE["volumes"].keys()
    for service in SERVICES.values():
        assert "/" not in service["image"]  # no registry is named here


def test_ray_gets_its_shared_memory() -> None:
    assert SERVICES["rayline"]["shm_size"] == "2gb"


def test_redis_keeps_what_is_older_than_a_second() -> None:
    assert SERVICES["redis"]["command"] == ["redis-server", "--appendonly", "yes", "--appendfsync", "everysec"]
    assert any(volume.endswith(":/data") for volume in SERVICES["redis"]["volumes"])
    assert SERVICES["rayline"]["depends_on"]["redis"]["condition"] == "service_healthy"


def test_only_this_machine_reaches_the_ports() -> None:
    services = [service for name, service in SERVICES.items() if name not in PROXIES]
    ports = [port for service in services for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_api_is_reached_through_a_proxy_alone_and_believes_that_one() -> None:
    config = load_config(DOCKER / "rayline.yaml", environment("rayline"))
    assert config.api is not None
    assert config.api.open_to_loopback is False
    (subnet,) = [part["subnet"] for part in COMPOSE["networks"]["default"]["ipam"]["config"]]
    for proxy in PROXIES.values():
        address = proxy["networks"]["default"]["ipv4_address"]
        assert config.api.trusted_proxies == (address,)
        assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet)
        assert proxy["ports"] == ["80:80", "443:443", "8443:8443"]
    assert config.dashboard is not None
    assert config.dashboard.trusted_proxies == config.api.trusted_proxies
    assert f"server rayline:{config.dashboard.port};" in (DOCKER / "nginx.conf").read_text()
    assert not any(f":{config.api.port}" in port for port in SERVICES["rayline"].get("ports", []))


def test_the_proxies_have_the_apis_limits() -> None:
    """nginx is run in tests/services/api/test_nginx.py; of Traefik only the file is at hand."""
    api = ApiSettings()
    conf = (DOCKER / "nginx.conf").read_text()
    assert f"client_max_body_size {api.max_body_bytes};" in conf
    static, dynamic = (yaml.safe_load((DOCKER / "traefik" / name).read_text()) for name in TRAEFIK)
    assert dynamic["http"]["middlewares"]["bodies"]["buffering"]["maxRequestBodyBytes"] == api.max_body_bytes
    entry = static["entryPoints"]["websecure"]
    assert entry["http"]["maxHeaderBytes"] == MOST_HEADER_BYTES
    assert int(entry["transport"]["respondingTimeouts"]["readTimeout"].rstrip("s")) > api.body_timeout_s
    waits = static["serversTransport"]["forwardingTimeouts"]["responseHeaderTimeout"]
    assert int(waits.rstrip("s")) > api.request_timeout_s
    assert f"proxy_read_timeout {waits};" in conf


def test_what_traefik_is_told_is_there() -> None:
    static, dynamic = (yaml.safe_load((DOCKER / "traefik" / name).read_text()) for name in TRAEFIK)
    mounts = dict(volume.rsplit(":ro", 1)[0].rsplit(":", 1) for volume in PROXIES["traefik"]["volumes"])
    folder = mounts["./traefik"]
    assert static["providers"]["file"]["filename"] == f"{folder}/{TRAEFIK[1]}"
    assert (DOCKER / "traefik" / "traefik.yaml").exists(), "it looks for this name in /etc/traefik by itself"
    for certificate in dynamic["tls"]["certificates"]:
        assert all(path.startswith(tuple(mounts.values())) for path in certificate.values())
    http = dynamic["http"]
    for router in http["routers"].values():
        assert set(router["entryPoints"]) <= static["entryPoints"].keys()
        assert set(router["middlewares"]) <= http["middlewares"].keys()
        assert router["service"] in http["services"]
        balancer = http["services"][router["service"]]["loadBalancer"]
        assert balancer.get("serversTransport", "page") in http["serversTransports"]
    for service, port in (("rayline", ApiSettings().port), ("page", DashboardSettings().port)):
        (backend,) = http["services"][service]["loadBalancer"]["servers"]
        assert backend["url"] == f"http://rayline:{port}"
    published = {port.split(":")[1] for port in PROXIES["traefik"]["ports"]}
    assert {entry["address"].lstrip(":") for entry in static["entryPoints"].values()} == published
    assert not any("forwardedHeaders" in entry for entry in static["entryPoints"].values())


def test_traefik_hands_the_page_on_as_nginx_does() -> None:
    static, dynamic = (yaml.safe_load((DOCKER / "traefik" / name).read_text()) for name in TRAEFIK)
    routers = dynamic["http"]["routers"]
    (router,) = [each for each in routers.values() if each["service"] == "page"]
    assert router["entryPoints"] == ["page"]
    assert not any("page" in each["entryPoints"] for each in routers.values() if each is not router)
    assert "buffering" not in {kind for name in router["middlewares"] for kind in dynamic["http"]["middlewares"][name]}
    page, api = static["entryPoints"]["page"], static["entryPoints"]["websecure"]
    assert page == api | {"address": ":8443"}
    conf = (DOCKER / "nginx.conf").read_text()
    waits = dynamic["http"]["serversTransports"]["page"]["forwardingTimeouts"]
    assert f"keepalive_timeout {waits['idleConnTimeout']}; # below the 5 s" in conf
    assert f"proxy_read_timeout {waits['responseHeaderTimeout']};" in conf


def test_what_rayline_is_told_to_do_it_can() -> None:
    parse(SERVICES["rayline"]["command"])
    kind, command, *arguments = SERVICES["rayline"]["healthcheck"]["test"]
    assert (kind, command) == ("CMD", "rayline")
    parse(arguments)


def test_the_config_is_mounted_where_it_is_looked_for() -> None:
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["rayline"]["volumes"])
    assert mounts["./rayline.yaml"] == SERVICES["rayline"]["command"][1]
    home = re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)
    assert mounts["model-cache"] in home


def test_the_config_is_good_and_reaches_the_other_services() -> None:
    config = load_config(DOCKER / "rayline.yaml", environment("rayline"))
    findings = review(config, Machine(cores=2))
    elsewhere = {"weights", "spool"}  # what is there in the image alone
    assert [f.problem.text("") for f in findings if not elsewhere & set(f.problem.path)] == []
    assert config.redis.address == "redis:6379"
    assert config.snapshots is not None
    assert "/var/lib/rayline" in config.snapshots.uri
    port = options(SERVICES["cameras"]["command"]).port
    for name in ("line-1", "line-2"):
        url = config.camera(name).settings.url.get_secret_value()
        assert url == f"rtsp://{server.USER}:{server.PASSWORD}@cameras:{port}/{name}"


def test_the_config_judges_as_the_demo_does() -> None:
    shipped, demo = (yaml.safe_load((ROOT / path).read_text()) for path in ("docker/rayline.yaml", "configs/demo.yaml"))
    for section in ("models", "recipes", "lines"):
        assert shipped[section] == demo[section]


def options(arguments: list[str]) -> Any:
    return server._options(arguments)


def test_the_cameras_can_be_started_and_stay() -> None:
    service = SERVICES["cameras"]
    python, flag, module = service["entrypoint"]
    assert (python, flag) == ("python", "-m")
    assert importlib.util.find_spec(module) is not None
    told = options(service["command"])
    assert told.host == "0.0.0.0"
    assert told.cameras == 2
    assert service["stdin_open"] is True  # it ends with its standard input
    assert "ports" not in service


@pytest.mark.parametrize("arguments", [["--prot", "8554"], ["--port", "many"]])
def test_a_wrong_option_of_the_cameras_is_noticed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(arguments)
    assert arguments[0] in capsys.readouterr().err
