"""What `check` finds in configs that are valid and still will not do."""

from pathlib import Path

import pytest

from pipeline.config_checks import review
from pipeline.config_errors import dotted
from pipeline.config_findings import Severity
from pipeline.config_machine import Machine
from tests.unit.config.site import SITE, config_from

MACHINE = Machine(cores=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the weights of SITE lie."""
    (tmp_path / "parts.pt").write_bytes(b"weights")
    return tmp_path


def found(text: str, folder: Path, machine: Machine | None = MACHINE) -> list[tuple[Severity, str, str]]:
    findings = review(config_from(text, folder), machine)
    return [(f.severity, dotted(f.problem.path), f.problem.message) for f in findings]


COUNTED = SITE.replace("    fps: 15", "    fps: 15\n    counts: true")


def test_a_good_config_has_nothing_to_say(folder: Path) -> None:
    assert found(COUNTED, folder) == []


def test_a_part_counter_on_a_line_that_is_counted_is_good(folder: Path) -> None:
    assert found(COUNTED.replace("{recipe: check}", "{recipe: check, part_counter: {stream: plc}}"), folder) == []


BELT = COUNTED.replace("counts: true", "counts: true\n    belt_speed: 2.0")


@pytest.mark.parametrize(
    ("text", "severity", "path", "message"),
    [
        pytest.param(
            COUNTED + "graph: {detect_cpus: 9}\n",
            Severity.ERROR,
            "graph",
            "asks Ray for 9.45 cores, this machine has 8",
            id="more cores than there are",
        ),
        pytest.param(
            COUNTED + "redis: {url: 'redis://h'}\nspool: {dir: parts.pt}\n",
            Severity.ERROR,
            "spool.dir",
            "parts.pt: is no folder",
            id="no room for a spool",
        ),
        pytest.param(
            COUNTED + "graph: {detect_gpus: 1}\n",
            Severity.ERROR,
            "graph.detect_gpus",
            "asks Ray for 1 GPUs, this machine has 0",
            id="a GPU that is not there",
        ),
        pytest.param(
            COUNTED + "graph: {topology: fused, preprocess_replicas: 2}\n",
            Severity.WARNING,
            "graph.preprocess_replicas",
            "does nothing where `topology` is fused",
            id="processes that are not there",
        ),
        pytest.param(
            COUNTED + "graph: {detect_replicas: {max: 30}}\n",
            Severity.ERROR,
            "graph",
            "asks Ray for 15.45 cores, this machine has 8",
            id="a highest number of replicas that finds no room",
        ),
        pytest.param(
            COUNTED + "graph: {detect_replicas: {max: 3}}\n",
            Severity.WARNING,
            "graph.detect_replicas",
            "3 replicas never all have work: 1 shards have at most 2 batches under way",
            id="more replicas than batches",
        ),
        pytest.param(
            COUNTED + "graph: {max_batch: 16, shard_size: 4}\n",
            Severity.ERROR,
            "graph.max_batch",
            "16 can never fill: 4 cameras a shard hold 8 frames at most",
            id="a batch larger than a shard can hold",
        ),
        pytest.param(
            COUNTED.replace("parts.pt", "parts.pt, max_batch: 4") + "graph: {max_batch: 8}\n",
            Severity.ERROR,
            "graph.max_batch",
            "8 can never fill: no model takes more than 4 frames at once",
            id="a batch larger than any model takes",
        ),
        pytest.param(
            COUNTED.replace("parts.pt", "parts.pt, max_batch: 64"),
            Severity.ERROR,
            "models.parts.max_batch",
            "64 can never fill: 1 shards have at most 16 frames in flight",
            id="a model's batch larger than what is in flight",
        ),
        pytest.param(
            COUNTED.replace("192.0.2.3/c", "192.0.2.2/b"),
            Severity.WARNING,
            "cameras.gate.url",
            "camera 'cam-2' reads the same address",
            id="one address twice",
        ),
        pytest.param(
            COUNTED.replace("rtsp://192.0.2.3/c", "file:gone.mp4"),
            Severity.ERROR,
            "cameras.gate.url",
            "gone.mp4: no such file",
            id="a video that is not there",
        ),
        pytest.param(
            BELT,
            Severity.WARNING,
            "cameras.cam-1.belt_speed",
            "a part is seen 4 times before the trigger, min_votes is 5",
            id="a belt too fast for the camera",
        ),
        pytest.param(
            BELT.replace("    fps: 15\n", ""),
            Severity.WARNING,
            "cameras.cam-1.belt_speed",
            "cannot be checked without `fps`",
            id="a belt's speed and no rate",
        ),
        pytest.param(
            SITE.replace("    recipe: watch\n  gate", "  gate"),
            Severity.WARNING,
            "lines.filling",
            "has 2 stations and counts its parts at none",
            id="a line counted nowhere",
        ),
        pytest.param(
            COUNTED.replace("parts.pt", "parts.pt, classes: [bottle, cop]"),
            Severity.ERROR,
            "recipes.check.inspection",
            "waits for 'cap', which models.parts.classes leaves out",
            id="a feature the model is told to leave out",
        ),
        pytest.param(
            COUNTED.replace("    inspection:", "    track: {classes: [cap]}\n    inspection:"),
            Severity.ERROR,
            "recipes.check.inspection.part_label",
            "'bottle' is never tracked",
            id="a part that is never tracked",
        ),
        pytest.param(
            COUNTED.replace("  watch:", "  spare: {model: idle}\n  watch:").replace(
                "recipes:", "  idle: {weights: i.pt}\nrecipes:"
            ),
            Severity.WARNING,
            "recipes.spare",
            "is used by nothing",
            id="an unused recipe",
        ),
        pytest.param(
            COUNTED + "redis: {url: 'redis://192.0.2.9:6379', data_dir: here}\n",
            Severity.WARNING,
            "redis.data_dir",
            "is for `url: embedded` only",
            id="a folder for a Redis that is not ours",
        ),
        pytest.param("", Severity.WARNING, "cameras", "there are none", id="no cameras"),
        pytest.param(
            SITE.replace("{recipe: check}", "{recipe: check, part_counter: {stream: plc}}"),
            Severity.ERROR,
            "lines.filling.part_counter",
            "no camera of line 'filling' counts its parts, so there is nothing to compare the counter with",
            id="a part counter and nothing to compare it with",
        ),
        pytest.param(
            COUNTED.replace("{recipe: check}", "{recipe: watch, part_counter: {stream: plc}}"),
            Severity.ERROR,
            "lines.filling.part_counter",
            "camera 'cam-1' counts the line's parts, and its recipe inspects none",
            id="a part counter where nothing is inspected",
        ),
    ],
)
def test_it_finds(folder: Path, text: str, severity: Severity, path: str, message: str) -> None:
    told = found(text, folder)
    assert any((s, p) == (severity, path) and message in m for s, p, m in told), told


def test_weights_that_are_not_there_are_told_with_the_nearest_that_are(folder: Path) -> None:
    (finding,) = review(config_from(COUNTED.replace("parts.pt", "part.pt"), folder), MACHINE)
    assert finding.severity is Severity.ERROR
    assert "part.pt: no such file" in finding.problem.message
    assert finding.problem.hint == "did you mean 'parts.pt'?"


def test_a_default_batch_is_a_ceiling_and_no_mistake(folder: Path) -> None:
    single = "models: {m: {weights: parts.pt}}\nrecipes: {r: {model: m}}\ncameras: {c: {url: 'rtsp://h/c'}}\n"
    assert found(single, folder) == []


@pytest.mark.parametrize(("max_batch", "refused"), [(10, False), (11, True)])
def test_a_batch_may_be_what_one_shards_cameras_hold_whatever_others_do(
    folder: Path, max_batch: int, refused: bool
) -> None:
    """Four cameras a shard: one that holds 4 and three that hold 2 each; files are read by a shard of their own."""
    text = (
        "models: {m: {weights: parts.pt, max_batch: 64}}\nrecipes: {r: {model: m}}\n"
        f"graph: {{max_batch: {max_batch}, shard_size: 4}}\n"
        "cameras: {c: {url: 'rtsp://h/c', buffer_frames: 4}, d: {url: 'rtsp://h/d'}}\n"
    )
    told = [m for _, p, m in found(text, folder) if p == "graph.max_batch"]
    assert told == ([f"{max_batch} can never fill: 4 cameras a shard hold 10 frames at most"] if refused else [])


def test_a_clusters_size_is_not_compared_with_this_machine(folder: Path) -> None:
    assert found(COUNTED + "graph: {detect_cpus: 9, detect_gpus: 2}\n", folder, machine=None) == []


def test_errors_come_first(folder: Path) -> None:
    severities = [s for s, _, _ in found(SITE.replace("parts.pt", "gone.pt").replace("2.3/c", "2.2/b"), folder)]
    assert severities == sorted(severities, key=lambda s: s is Severity.WARNING)
    assert len(set(severities)) == 2


WITH_FILES = """
api:
  auth:
    own: {secret_file: jwt.secret}
    provider: {jwks_file: jwks.json, issuer: i, audience: a}
"""


def test_files_without_which_the_api_would_not_start_are_told(folder: Path) -> None:
    text = COUNTED + WITH_FILES
    told = found(text, folder)
    assert [(severity, path) for severity, path, _ in told] == [
        (Severity.ERROR, "api.auth.own"),
        (Severity.ERROR, "api.auth.provider.jwks_file"),
    ]
    assert told[0][2] == f"{folder / 'jwt.secret'}: No such file or directory"
    assert found(text, folder, None) == []  # a cluster's machines may have them
    (folder / "jwt.secret").write_text("too short")
    assert "32 to 4096 bytes" in found(text, folder)[0][2]
    (folder / "jwt.secret").write_text("0123456789abcdef" * 4)
    (folder / "jwks.json").write_text("{}")
    assert found(text, folder) == []


def test_a_recipe_that_a_line_may_change_over_to_is_of_use(folder: Path) -> None:
    text = COUNTED.replace("  watch:", "  spare: {model: parts}\n  watch:")
    assert found(text, folder) == []
