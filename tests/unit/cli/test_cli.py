"""The commands that need no running Rayline, as a person types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pipeline import cli
from pipeline.commands import common
from pipeline.commands.consume import _from_id
from pipeline.commands.schema import all_schemas
from tests.unit.config.site import SITE

SCHEMAS = all_schemas()  # once: the config's takes most of a second


def rayline(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "parts.pt").write_bytes(b"weights")
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("    fps: 15", "    fps: 15\n    counts: true"))
    return path


@pytest.fixture
def _main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consoles that print wherever pytest looks."""
    from rich.console import Console

    monkeypatch.setattr(common, "err", Console(stderr=True, highlight=False))


def test_help_names_every_command() -> None:
    told = rayline("--help").stdout
    for command in (
        "demo",
        "up",
        "check",
        "status",
        "cameras",
        "token",
        "snapshot",
        "consume",
        "doctor",
        "plan",
        "quantize",
        "schema",
    ):
        assert f" {command} " in told


@pytest.mark.parametrize(
    "command", ["demo", "up", "check", "status", "token", "snapshot", "consume", "doctor", "plan", "quantize", "schema"]
)
def test_each_command_has_help(command: str) -> None:
    assert rayline(command, "--help").exit_code == 0


def test_help_imports_nothing_heavy() -> None:
    heavy = ("ray", "torch", "ultralytics", "cv2", "av", "numpy", "redis", "pydantic", "onnxruntime", "openvino")
    program = f"import sys, pipeline.cli; print([m for m in {heavy} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"


def test_reading_a_config_imports_no_model_runtime(site: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.config import load_config; "
        f"load_config(Path({str(site)!r})); "
        "print([m for m in ('ray', 'torch', 'ultralytics', 'onnxruntime', 'openvino', 'av') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"


def test_check_tells_a_good_config(site: Path) -> None:
    result = rayline("check", str(site), "--cluster")
    assert result.exit_code == 0
    assert "is good: 3 cameras, 2 lines, 1 model, 1 shard; asks Ray for 0.95 cores" in " ".join(result.stdout.split())


def test_check_refuses_what_cannot_run_with_its_line(site: Path) -> None:
    site.with_name("parts.pt").unlink()
    result = rayline("check", str(site), "--cluster")
    assert result.exit_code == 2
    assert "site.yaml:3: models.parts.weights" in result.stderr
    assert "is good" not in result.output


@pytest.mark.parametrize("good", [True, False])
def test_check_for_programs(site: Path, good: bool) -> None:
    if not good:
        site.write_text(site.read_text().replace("fps: 15", "fbs: 15"))
    result = rayline("check", str(site), "--cluster", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["good"]) == ((0, True) if good else (2, False))
    if not good:
        assert [(p["path"], p["line"], p["hint"]) for p in told["problems"]] == [
            ("cameras.cam-1.fbs", 18, "did you mean 'fps'?")
        ]


@pytest.mark.usefixtures("_main")
def test_a_wrong_config_is_told_in_words_and_ends_with_2(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write_text(site.read_text().replace("fps: 15", "fps: -1").replace("rtsp://viewer", "rstp://viewer"))
    monkeypatch.setattr(sys, "argv", ["rayline", "check", str(site)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert "site.yaml:18: cameras.cam-1.fps" in told
    assert "hush-hush" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_prints_each(name: str) -> None:
    assert json.loads(rayline("schema", name).stdout) == SCHEMAS[name]


def test_schema_writes_all(tmp_path: Path) -> None:
    assert rayline("schema", "--out", str(tmp_path / "schemas")).exit_code == 0
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == {
        "rayline.config.json",
        *(f"{name}.json" for name in SCHEMAS if name != "config"),
    }


def test_a_schema_that_is_not_there_is_a_wrong_command() -> None:
    result = rayline("schema", "detektion")
    assert result.exit_code == 2
    assert "detection" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("up", "a.yaml", "rtsp://h/a"), id="file and address"),
        pytest.param(("up", "a.yaml", "--weights", "x.pt"), id="weights for a file"),
        pytest.param(("up",), id="nothing"),
        pytest.param(("status", "--redis", "http://h"), id="not a redis address"),
        pytest.param(("consume", "detektions"), id="no such stream"),
        pytest.param(("consume", "--from", "yesterday"), id="no such time"),
        pytest.param(("cameras", "set", "cam-1"), id="nothing to set"),
        pytest.param(("cameras", "set", "cam-1", "fps"), id="no value"),
        pytest.param(("nonsense",), id="no such command"),
    ],
)
def test_a_wrong_command_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert rayline(*arguments).exit_code == 2


def test_up_refuses_what_cannot_run_before_anything_starts(site: Path) -> None:
    site.with_name("parts.pt").unlink()
    result = rayline("up", str(site))
    assert result.exit_code == 2
    assert "no such file" in result.stderr


@pytest.mark.parametrize(
    ("since", "entry_id"),
    [
        ("now", "$"),
        ("start", "0-0"),
        ("30s", "999970000-0"),
        ("10m", "999400000-0"),
        ("1d", "913600000-0"),
        ("1700000000000-3", "1700000000000-3"),
        ("1700000000000", "1700000000000"),
        ("99999d", "0-0"),
    ],
)
def test_where_consume_begins(since: str, entry_id: str) -> None:
    assert _from_id(since, now=1_000_000.0) == entry_id


def test_where_consume_cannot_begin() -> None:
    with pytest.raises(typer.BadParameter):
        _from_id("soon")


def test_version_is_told() -> None:
    assert rayline("--version").stdout.startswith("rayline ")
