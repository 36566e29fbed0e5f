"""`doctor` finds what is here, and says what to do about what is not."""

import json

import pytest

from tests.services.cli.conftest import Rayline

pytestmark = pytest.mark.services

STATUSES = {"ok", "warning", "missing"}


def test_what_a_machine_has_is_told(rayline: Rayline) -> None:
    result = rayline("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert {"cores", "memory", "shared memory", "gpu", "codecs", "torch", "openvino", "onnxruntime", "redis"} <= set(
        checks
    )
    assert all(check["status"] in STATUSES and check["found"] for check in checks.values())
    assert all(check["advice"] for check in checks.values() if check["status"] != "ok")
    assert checks["redis"]["status"] == "ok"
    assert "h264" in checks["codecs"]["found"]
    assert "runtime: " in checks["auto"]["found"]
    assert "fastest" in checks["auto"]["advice"]
    assert result.exit_code == int(any(check["status"] == "missing" for check in checks.values()))


def test_a_redis_that_is_not_there_is_a_warning_with_advice(rayline: Rayline) -> None:
    result = rayline("doctor", "--redis", "redis://:hush-hush@127.0.0.1:1/0")
    told = " ".join(result.stdout.split())
    assert "warning redis redis at 127.0.0.1:1" in told
    assert "embedded" in told
    assert "hush-hush" not in told
