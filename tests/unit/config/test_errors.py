"""A wrong config file is told by file, line, path, and what would be right."""

import pytest

from pipeline.config_errors import ConfigError, dotted
from tests.unit.config.site import SITE, config_from


@pytest.mark.parametrize(
    ("right", "wrong", "where", "told"),
    [
        pytest.param(
            "    fps: 15",
            "    fbs: 15",
            "site.yaml:18: cameras.cam-1.fbs: unknown setting",
            "did you mean 'fps'?",
            id="a typo",
        ),
        pytest.param(
            "    fps: 15",
            "    frobnicate: 15",
            "site.yaml:18: cameras.cam-1.frobnicate: unknown setting",
            "known here: belt_speed, buffer_frames",
            id="an unknown key like no other",
        ),
        pytest.param(
            "    fps: 15",
            "    fps: -3",
            "site.yaml:18: cameras.cam-1.fps: input should be greater than 0, not -3",
            "Pictures taken per second",
            id="out of bounds, with what the setting does",
        ),
        pytest.param(
            "    fps: 15",
            "    transport: tcpp",
            "site.yaml:18: cameras.cam-1.transport: input should be 'tcp' or 'udp', not 'tcpp'",
            "RTSP only",
            id="not one of the choices",
        ),
        pytest.param(
            "version: 1",
            "version: 1\ngraph: {detect_replicas: 0}",
            "site.yaml:2: graph.detect_replicas: input should be greater than or equal to 1, not 0",
            "Processes per model that detect",
            id="a number of replicas that cannot be",
        ),
        pytest.param(
            "version: 1",
            "version: 1\ngraph: {detect_replicas: {mix: 2, max: 4}}",
            "site.yaml:2: graph.detect_replicas.mix: unknown setting",
            "did you mean 'min'?",
            id="a typo where a number could stand",
        ),
        pytest.param(
            "version: 1",
            "version: 1\ngraph: {detect_replicas: {min: 4, max: 2}}",
            "site.yaml:2: graph.detect_replicas.max: 2 is less than `min`, 4",
            "",
            id="fewest above most",
        ),
        pytest.param(
            "    url: rtsp://192.0.2.3/c\n",
            "",
            "site.yaml:23: cameras.gate.url: is needed and not there",
            "Where pictures come from",
            id="missing",
        ),
        pytest.param(
            "  cam-2:",
            "  Cam 2:",
            "site.yaml:19: cameras.Cam 2: 'Cam 2' cannot be a name",
            "for example 'cam-2'",
            id="a name that cannot be",
        ),
        pytest.param(
            "      trigger: [[0.6, 0.0], [0.6, 1.0]]",
            "      trigger: [[0.6, 0.0], [0.6, 0.0]]",
            "site.yaml:7: recipes.check.inspection: trigger",
            "give it two ends",
            id="what a stage's own settings find",
        ),
        pytest.param(
            "      required: [{label: cap}]",
            "      required: [{label: cap, min_frams: 3}]",
            "site.yaml:10: recipes.check.inspection.required[0].min_frams: unknown setting",
            "did you mean 'min_frames'?",
            id="inside a list",
        ),
        pytest.param(
            "    recipe: watch\n  gate",
            "    recipe: wach\n  gate",
            "site.yaml:22: cameras.cam-2.recipe: there is no recipe 'wach'",
            "did you mean 'watch'?",
            id="an unknown recipe",
        ),
        pytest.param(
            "    line: filling\n    fps",
            "    line: packing\n    fps",
            "site.yaml:17: cameras.cam-1.line: there is no line 'packing'",
            "lines there are: filling",
            id="an unknown line",
        ),
        pytest.param(
            "  watch: {model: parts}",
            "  watch: {model: bottles}",
            "site.yaml:11: recipes.watch.model: there is no model 'bottles'",
            "models there are: parts",
            id="an unknown model",
        ),
        pytest.param(
            "  gate:\n    url: rtsp://192.0.2.3/c\n    recipe: watch\n",
            "  gate:\n    url: rtsp://192.0.2.3/c\n",
            "site.yaml:23: cameras.gate: names no recipe",
            "there are: check, watch",
            id="no recipe to be found",
        ),
        pytest.param(
            "    fps: 15\n  cam-2:\n",
            "    counts: true\n  cam-2:\n    counts: true\n",
            "site.yaml:20: cameras.cam-2.counts: line 'filling' is counted at camera 'cam-1' already",
            "one station",
            id="a line counted twice",
        ),
        pytest.param(
            "    fps: 15",
            "    fps: 15\n    fps: 20",
            "site.yaml:19: cameras.cam-1.fps: given twice, first in line 18",
            "",
            id="a key given twice",
        ),
        pytest.param("    fps: 15", "\tfps: 15", "site.yaml:18: not YAML", "not tabs", id="a tab"),
        pytest.param(SITE, "- 1\n", "site.yaml:1: a config file is a mapping, not a list", "", id="no mapping"),
        pytest.param("version: 1", "version: 2", "site.yaml:1: version: input should be 1, not 2", "", id="version"),
        pytest.param("rtsp://192.0.2.2/b", "rstp://192.0.2.2/b", "cameras.cam-2.url: unknown scheme", "", id="scheme"),
        pytest.param(
            "  watch: {model: parts}",
            "  watch: {model: parts, roi: [0.9, 0, 0.1, 1]}",
            "site.yaml:11: recipes.watch: roi [0.9, 0.0, 0.1, 1.0] is no box",
            "",
            id="a region inside out",
        ),
    ],
)
def test_the_error_names_line_path_and_what_would_be_right(right: str, wrong: str, where: str, told: str) -> None:
    assert right in SITE
    with pytest.raises(ConfigError) as caught:
        config_from(SITE.replace(right, wrong, 1))
    text = str(caught.value)
    assert where in text
    assert told in text


def test_every_problem_is_told_at_once_in_the_order_of_the_file() -> None:
    text = SITE.replace("weights:", "wights:").replace("fps: 15", "fps: many")
    with pytest.raises(ConfigError) as caught:
        config_from(text)
    problems = caught.value.problems
    assert {dotted(p.path) for p in problems} == {"models.parts.wights", "models.parts.weights", "cameras.cam-1.fps"}
    assert [p.line for p in problems] == [3, 3, 18]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("rstp://viewer:hush-hush@192.0.2.1/a", id="wrong scheme"),
        pytest.param("rtsp://viewer:hush-hush@", id="no host"),
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from(SITE.replace("rtsp://viewer:hush-hush@192.0.2.1/a", url))
    assert "hush-hush" not in str(caught.value)
    assert "hush-hush" not in repr(caught.value)


def test_an_alias_within_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="aliases that hold themselves"):
        config_from("models: &m\n  again: *m\n")


def test_aliases_that_would_grow_without_end_are_refused() -> None:
    rows = [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 100000 values"):
        config_from("\n".join(["models:", "  a0: &a0 [x, x, x, x, x, x, x, x, x]", *rows]) + "\n")
