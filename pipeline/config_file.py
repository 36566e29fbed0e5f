"""From a YAML file to plain data: environment and secret files put in, every value's line known."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.config_errors import ConfigError, Problem, YamlPath, line_of
from pipeline.names import choices, did_you_mean

SECRET_FILE_KEYS = ("url",)  # `url_file: PATH` reads the address, password and all, from a file
VALUES_MOST = 100_000  # an alias in an alias in an alias can make any number of them
SECRET_BYTES = 4096
FILE_BYTES = 4 * 1024 * 1024

_VARIABLE = re.compile(r"\$(?P<escaped>\$)?\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Document:
    """A config file's data, where each value stands in it, and the folder relative paths start from."""

    data: dict[str, Any]
    file: str
    lines: dict[YamlPath, int] = field(default_factory=dict)
    base: Path = field(default_factory=Path.cwd)


def read_document(path: Path, environ: Mapping[str, str] | None = None) -> Document:
    """The file with `${NAME}`, `${NAME:-default}` and `*_file` put in. Raises ConfigError with all that is wrong.

    `$${` stays a plain `${`. Values are put in after YAML was read, so no value can change the file's structure.
    """
    return parse_document(_read(path), str(path), path.resolve().parent, environ)


def parse_document(
    text: str, file: str = "configuration", base: Path | None = None, environ: Mapping[str, str] | None = None
) -> Document:
    """The same for YAML text at hand."""
    node = _compose(text, file)
    lines: dict[YamlPath, int] = {}
    problems: list[Problem] = []
    if node is not None:
        _note_lines(node, (), lines, problems, file)
    if problems:
        raise ConfigError(problems, file)
    data = _construct(text, file)
    filled = _Filler(os.environ if environ is None else environ, base or Path.cwd(), lines)
    full = filled.fill(data, ())
    if filled.problems:
        raise ConfigError(filled.problems, file)
    return Document(full, file, lines, base or Path.cwd())


class _Filler:
    """Puts environment variables and secret files into the data, collecting what is missing."""

    def __init__(self, environ: Mapping[str, str], base: Path, lines: dict[YamlPath, int]) -> None:
        self._environ = environ
        self._base = base
        self._lines = lines
        self.problems: list[Problem] = []

    def fill(self, value: Any, path: YamlPath) -> Any:
        if isinstance(value, str):
            return self._expand(value, path)
        if isinstance(value, list):
            return [self.fill(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return self._secret_files({key: self.fill(item, (*path, key)) for key, item in value.items()}, path)
        return value

    def _expand(self, text: str, path: YamlPath) -> str:
        def value_of(match: re.Match[str]) -> str:
            if match["escaped"]:
                return match[0][1:]
            name, default = match["name"], match["default"]
            value = self._environ.get(name)
            if value is None or (value == "" and default is not None):
                value = default
            if value is None:
                self._missing(name, path)
            return value or ""

        return _VARIABLE.sub(value_of, text)

    def _missing(self, name: str, path: YamlPath) -> None:
        near = did_you_mean(name.lower(), [key.lower() for key in self._environ])
        hint = f"export {name}=..., or give a default: ${{{name}:-...}}"
        if near:
            hint += f" (there is {near.upper()})"
        self._problem(path, f"the environment has no {name}", hint)

    def _secret_files(self, mapping: dict[str, Any], path: YamlPath) -> dict[str, Any]:
        for key in SECRET_FILE_KEYS:
            name = f"{key}_file"
            if name not in mapping:
                continue
            file = mapping.pop(name)
            if key in mapping:
                self._problem((*path, name), f"stands beside {key!r}", f"give {key!r} or {name!r}, not both")
            elif (value := self._secret(file, (*path, name))) is not None:
                mapping[key] = value
                self._lines[(*path, key)] = line_of((*path, name), self._lines) or 0
        return mapping

    def _secret(self, file: Any, path: YamlPath) -> str | None:
        if not isinstance(file, str):
            self._problem(path, f"needs the path of a file, not {type(file).__name__}", "")
            return None
        place = self._base / Path(file).expanduser()
        try:
            with place.open("rb") as opened:
                raw = opened.read(SECRET_BYTES + 1)
            text = raw.decode().strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "is not text"
            self._problem(path, f"{place}: {reason}", "a text file that holds the value and nothing else")
            return None
        if not text or len(raw) > SECRET_BYTES:
            self._problem(path, f"{place} is {'empty' if not text else 'too long'}", "one value, at most 4 kB")
            return None
        return text

    def _problem(self, path: YamlPath, message: str, hint: str) -> None:
        self.problems.append(Problem(path, message, hint, line_of(path, self._lines)))


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES:
            raise ConfigError(
                [Problem((), f"is larger than {FILE_BYTES >> 20} MB", "is this a config file?")], str(path)
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        beside = path.parent.glob("*.y*ml") if path.parent.is_dir() else ()
        hint = f"config files in {path.parent}: {choices(p.name for p in beside)}"
        raise ConfigError([Problem((), "no such file", hint)], str(path)) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError([Problem((), "is not UTF-8 text", "is this a config file?")], str(path)) from exc
    except OSError as exc:
        raise ConfigError([Problem((), f"cannot be read: {exc.strerror}")], str(path)) from exc


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as exc:
        raise ConfigError([_yaml_problem(exc)], file) from None  # it shows the line, passwords and all
    return node


def _construct(text: str, file: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError([_yaml_problem(exc)], file) from None  # it shows the line, passwords and all
    if data is None:
        return {}
    if not isinstance(data, dict):
        hint = "it starts with `version: 1` and has sections such as `models:` and `cameras:`"
        raise ConfigError([Problem((), f"a config file is a mapping, not a {type(data).__name__}", hint, 1)], file)
    return data


def _yaml_problem(exc: yaml.YAMLError) -> Problem:
    mark = getattr(exc, "problem_mark", None)
    what = getattr(exc, "problem", None) or "cannot be read"
    hint = "blanks, not tabs, make the indentation" if "\\t" in str(what) else ""
    return Problem((), f"not YAML: {what}", hint, mark.line + 1 if mark else None)


def _note_lines(
    node: yaml.Node, path: YamlPath, lines: dict[YamlPath, int], problems: list[Problem], file: str
) -> None:
    """Line of every key; a key given twice is a problem, for YAML would quietly take the second."""
    if len(path) > 32 or len(lines) > VALUES_MOST:
        raise ConfigError([Problem((), f"holds more than {VALUES_MOST} values, or aliases that hold themselves")], file)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _note_lines(item, (*path, index), lines, problems, file)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
            problems.append(Problem((*path, key.value), f"given twice, first in line {seen[key.value]}", "", line))
        seen.setdefault(key.value, line)
        lines[(*path, key.value)] = line
        _note_lines(value, (*path, key.value), lines, problems, file)
