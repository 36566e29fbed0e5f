"""What people changed of lines and models while all runs: the ground that the cameras' own changes lie on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, ValidationError

from pipeline.config import LineSettings, RaylineConfig, unknown_name
from pipeline.config_errors import ConfigError, Problem, problems_of
from pipeline.names import did_you_mean
from pipeline.plain import plain
from stages.detect.settings import ModelSettings
from stages.settings import Settings

HOT = ("min_score", "iou", "max_detections")  # of a model's settings, those that change while it runs


class LineOverride(Settings):
    """A line's last change of recipe; it stays when the file's is taken up again, for that is a change as well."""

    recipe: str | None = Field(None, description="In place of the file's; null: the file's.")
    before: str = Field("", description="The recipe that was to be run until then.")
    to: str = Field("", description="The one that was to be run from then on, the file's of that time included.")
    change_id: str = Field("", description="Names the change in events and reports.")
    at: float = Field(0.0, description="When it was asked for, Unix seconds UTC.")
    version: int = Field(0, description="Of the desired state that the change made.")

    def brought(self, recipe: str) -> bool:
        """False where the line runs by this recipe because the config file says so since then."""
        return recipe == self.to if self.to else recipe != self.before


class ModelOverride(Settings):
    """Other thresholds than the file's."""

    changed: dict[str, float | int] = Field(default_factory=dict, description="Settings in place of the file's.")
    at: float = Field(0.0, description="When they were last changed, Unix seconds UTC.")
    version: int = Field(0, description="Of the desired state that the last change made.")


@dataclass(frozen=True, slots=True)
class BaseOverrides:
    """By name. `unread`: what could not be read, and why, as `line NAME` or `model NAME`."""

    lines: Mapping[str, LineOverride] = field(default_factory=dict)
    models: Mapping[str, ModelOverride] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines) + len(self.models)


def with_base(file: RaylineConfig, overrides: BaseOverrides) -> tuple[RaylineConfig, dict[str, str]]:
    """The file with these over it; and which of them do not fit it any more, as `line NAME` or `model NAME`, and why.

    Those are left out. Never raises for what an override holds.
    """
    problems = dict(overrides.unread)
    lines, models = dict(file.lines), dict(file.models)
    for line, of_line in overrides.lines.items():
        try:
            lines[line] = _line_with(file, line, of_line)
        except ConfigError as exc:
            problems[f"line {line}"] = exc.in_a_line
    for model, of_model in overrides.models.items():
        try:
            models[model] = model_with(file, model, of_model.changed)
        except ConfigError as exc:
            problems[f"model {model}"] = exc.in_a_line
    if lines == file.lines and models == file.models:
        return file, problems
    return file.with_base(lines, models), problems


def require_recipe(file: RaylineConfig, line: str, recipe: str) -> None:
    """Raises ConfigError where the line cannot change to this recipe while it runs."""
    path = ("lines", line, "recipe")
    if recipe not in file.recipes:
        raise ConfigError([unknown_name(path, "recipe", recipe, file.recipes)])
    runs, needs = file.recipes[file.lines[line].recipe].model, file.recipes[recipe].model
    if needs != runs:
        hint = "rolling out another model is another command; a changeover keeps the model"
        raise ConfigError(
            [Problem(path, f"recipe {recipe!r} is of model {needs!r}, line {line!r} runs {runs!r}", hint)]
        )


def model_with(file: RaylineConfig, model: str, changed: Mapping[str, Any]) -> ModelSettings:
    """The model's settings with these in place of the file's. Raises ConfigError."""
    if model not in file.models:
        raise ConfigError([unknown_name(("models", model), "model", model, file.models)])
    cold = sorted(set(changed) - set(HOT))
    if cold:
        near = did_you_mean(cold[0], HOT)
        hint = f"did you mean {near!r}?" if near else f"these may change while it runs: {', '.join(HOT)}"
        raise ConfigError([Problem(("models", model, cold[0]), "cannot be changed while the model runs", hint)])
    data = {**plain(file.models[model]), **changed}
    try:
        return ModelSettings.model_validate(data)
    except ValidationError as exc:
        found = problems_of(exc, ModelSettings, data, {})
        raise ConfigError([Problem(("models", model, *one.path), one.message, one.hint) for one in found]) from None


def _line_with(file: RaylineConfig, line: str, override: LineOverride) -> LineSettings:
    if line not in file.lines:
        raise ConfigError([Problem(("lines", line), "the config file names this line no more")])
    if override.recipe is None:
        return file.lines[line]
    require_recipe(file, line, override.recipe)
    return file.lines[line].model_copy(update={"recipe": override.recipe})
