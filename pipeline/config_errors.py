"""What is wrong with a configuration: file, line, YAML path, and what would be right."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline.masking import mask
from pipeline.names import NAME_PATTERN, NAME_RULE, choices, did_you_mean, usable_name
from stages.errors import RaylineError

YamlPath = tuple[str | int, ...]
Lines = Mapping[YamlPath, int]

_SECRET_KEYS = ("password", "token", "secret", "url")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what would be right; passwords of addresses in it are masked."""

    path: YamlPath
    message: str
    hint: str = ""
    line: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", mask(self.message))
        object.__setattr__(self, "hint", mask(self.hint))

    @property
    def advice(self) -> str:
        """The message and, in brackets, the hint."""
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def text(self, file: str) -> str:
        """`file:line: path: message` and, indented below, the hint."""
        where = f"{file}:{self.line}" if self.line else file
        path = f"{dotted(self.path)}: " if self.path else ""
        hint = f"\n    {self.hint}" if self.hint else ""
        return mask(f"{where}: {path}{self.message}{hint}")


class ConfigError(RaylineError):
    """The configuration cannot be used; `problems` holds every reason found, not just the first."""

    def __init__(self, problems: Sequence[Problem], file: str = "configuration") -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__("\n".join(problem.text(file) for problem in self.problems))

    @property
    def in_a_line(self) -> str:
        """Every problem with its path and what would be right, for where there is no file to point into."""
        return "; ".join(f"{dotted(problem.path)}: {problem.advice}" for problem in self.problems)


def dotted(path: YamlPath) -> str:
    """('cameras', 'cam-1', 'zones', 0) -> 'cameras.cam-1.zones[0]'."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def line_of(path: YamlPath, lines: Lines) -> int | None:
    """The line of the path, or of the nearest thing around it that stands in the file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def problems_of(error: ValidationError, model: type[BaseModel], data: Any, lines: Lines) -> list[Problem]:
    """pydantic's findings in our words, in the order of the file."""
    found = {problem: None for detail in error.errors(include_url=False) for problem in [_problem(detail, model, data)]}
    placed = [Problem(p.path, p.message, p.hint, line_of(p.path, lines)) for p in found]
    return sorted(placed, key=lambda problem: problem.line or 0)


def _problem(detail: ErrorDetails, model: type[BaseModel], data: Any) -> Problem:
    path = _real_path(detail["loc"], data)
    match detail["type"]:
        case "extra_forbidden":
            around = _model_at(model, path[:-1], data)
            return Problem(path, "unknown setting", _unknown_hint(str(path[-1]), around))
        case "missing":
            return Problem(path, "is needed and not there", _description(model, path, data))
        case "string_pattern_mismatch" if detail.get("ctx", {}).get("pattern") == NAME_PATTERN:
            near = usable_name(str(detail["input"]))
            example = f"; for example {near!r}" if near else ""
            return Problem(path, f"{detail['input']!r} cannot be a name", f"a name is {NAME_RULE}{example}")
        case "value_error" | "assertion_error":
            return Problem(path, detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, "))
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    return Problem(path, f"{message}{_given(detail, path)}", _description(model, path, data))


def _given(detail: ErrorDetails, path: YamlPath) -> str:
    value = detail["input"]
    if isinstance(value, dict | list | tuple | BaseModel):
        return ""
    if path and any(word in str(path[-1]).lower() for word in _SECRET_KEYS):
        return " (not shown)"
    text = repr(mask(value) if isinstance(value, str) else value)  # before it is cut: half a password is one too
    return f", not {text[:60]}{'...' if len(text) > 60 else ''}"


def _real_path(loc: Iterable[str | int], data: Any) -> YamlPath:
    """The location without pydantic's own marks: union tags, '[key]', names of validators."""
    parts = [part for part in loc if part != "[key]"]
    path: list[str | int] = []
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if isinstance(data, Mapping) and (part in data or is_last):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path.append(part)
    return tuple(path)


def _unknown_hint(wrong: str, around: type[BaseModel] | None) -> str:
    if around is None:
        return ""
    known = [name for name in around.model_fields if name != wrong]
    near = did_you_mean(wrong, known)
    return f"did you mean {near!r}?" if near else f"known here: {choices(known, most=30)}"


def _description(model: type[BaseModel], path: YamlPath, data: Any) -> str:
    field = _field_at(model, path, data)
    return " ".join((field.description or "").split()) if field else ""


def _model_at(model: type[BaseModel], path: YamlPath, data: Any) -> type[BaseModel] | None:
    """The settings class that holds what stands at the path; of several that may, the one its `kind` names."""
    here: list[Any] = [model]
    for part in path:
        here = [inner for kind in here for inner in _inside(kind, part)]
        data = data.get(part) if isinstance(data, Mapping) else None
    named = data.get("kind") if isinstance(data, Mapping) else None
    models = [kind for kind in here if _is_model(kind)]
    return next((kind for kind in models if named in _kinds(kind)), models[0] if models else None)


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return typing.get_args(field.annotation) if field else ()


def _field_at(model: type[BaseModel], path: YamlPath, data: Any) -> FieldInfo | None:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    around = _model_at(model, path[:-1], data) if path else None
    return around.model_fields.get(str(path[-1])) if around else None


def _inside(kind: Any, part: str | int) -> list[Any]:
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return _alternatives(field.annotation) if field else []
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _alternatives(args[1])
    if isinstance(origin, type) and issubclass(origin, list | tuple):
        return [inner for arg in args if arg is not Ellipsis for inner in _alternatives(arg)]
    return []


def _alternatives(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [inner for arg in typing.get_args(annotation) for inner in _alternatives(arg)]
    return [annotation]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
