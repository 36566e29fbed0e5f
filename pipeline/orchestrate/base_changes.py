"""What somebody's change of a line or a model makes of what was changed before; the store writes it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from pipeline.config import RaylineConfig
from pipeline.names import choices, did_you_mean
from pipeline.orchestrate.base_overrides import HOT, LineOverride, ModelOverride, model_with, require_recipe
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_errors import DesiredError


def with_recipe(state: DesiredState, line: str, recipe: str) -> LineOverride | None:
    """The line's override where it is to change to this recipe; None where that is desired already.

    Raises ConfigError or DesiredError.
    """
    runs = _recipe_of(state, line)
    require_recipe(state.file, line, recipe)
    if recipe == runs:
        return None
    of_file = state.file.lines[line].recipe
    return LineOverride(recipe=None if recipe == of_file else recipe, before=runs, to=recipe, change_id=_new_id())


def with_files_recipe(state: DesiredState, line: str) -> LineOverride:
    """The line's override where it is to go back to the file's recipe. Raises DesiredError where it runs by that."""
    runs = _recipe_of(state, line)
    override = state.base.lines.get(line)
    if override is None or override.recipe is None:
        raise DesiredError(f"line {line!r} runs by the config file's recipe; there is nothing to reset")
    return LineOverride(before=runs, to=state.file.lines[line].recipe, change_id=_new_id())


def with_thresholds(state: DesiredState, model: str, changes: Mapping[str, Any]) -> ModelOverride | None:
    """The model's override with these changes; null takes back the file's. None where nothing of it differs any more.

    Raises ConfigError for a model, a name or a value that cannot be.
    """
    before = state.base.models.get(model)
    given = {**(before.changed if before is not None else {}), **changes}
    kept = {name: value for name, value in given.items() if value is not None}
    model_with(state.file, model, kept | {name: value for name, value in changes.items() if name not in HOT})
    of_file = state.file.models[model]
    differing = {name: value for name, value in kept.items() if value != getattr(of_file, name)}
    return ModelOverride(changed=differing) if differing else None


def _recipe_of(state: DesiredState, line: str) -> str:
    config = state.config
    if line in config.lines:
        return config.lines[line].recipe
    if line in config.line_ids():
        raise DesiredError(
            f"line {line!r} is a camera's own and names no recipe: `rayline cameras set {line} recipe=...`, or give it "
            "a line in the config file"
        )
    raise DesiredError(_no_line(config, line))


def _no_line(config: RaylineConfig, line: str) -> str:
    near = did_you_mean(line, config.lines)
    return f"there is no line {line!r}; " + (
        f"did you mean {near!r}?" if near else f"there are: {choices(config.lines)}"
    )


def _new_id() -> str:
    return uuid.uuid4().hex[:16]
