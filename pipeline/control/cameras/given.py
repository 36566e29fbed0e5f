"""Camera settings as they are given to the API: as in the config file, checked by the configuration itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from fastapi import Body
from pydantic import GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pipeline.config import CameraConfig
from pipeline.config_errors import ConfigError, Problem
from pipeline.control.cameras.admission import OF_THIS_MACHINE
from pipeline.names import NAME_RULE, Name, camera_id
from stages.settings import Settings

_FIELDS = {
    name: (field.annotation, field)
    for name, field in CameraConfig.model_fields.items()
    if name not in (*OF_THIS_MACHINE, "camera_id")
}
_TAKES_NULL = frozenset(
    name for name, field in CameraConfig.model_fields.items() if type(None) in getattr(field.annotation, "__args__", ())
)


class _DescribedAs:
    """Tells OpenAPI of a model where any JSON object is taken: the configuration checks it in its own words."""

    def __init__(self, title: str, /, *, as_changes: bool, **more: Any) -> None:
        fields: dict[str, Any] = more | copy.deepcopy(_FIELDS)
        self._model = create_model(title, __base__=Settings, **fields)
        self._as_changes = as_changes

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(self._model.__pydantic_core_schema__)
        schema = handler.resolve_ref_schema(found)
        schema["properties"]["url"]["description"] = _URL_TOLD
        if self._as_changes:
            schema.pop("required", None)
            for setting in schema["properties"].values():
                setting.pop("default", None)  # what is left out stays as it is
        return found


_URL_TOLD = (
    "Where pictures come from, login included: of the schemes in `api.camera_schemes`, by default rtsp:// rtsps:// "
    "http:// https:// rtmp:// rtmps:// and kafka:NAME (an entry of `topics`). Shown masked everywhere."
)
_LONGEST_NAME_TOLD = 80  # longer than any that may be
_URL = "rtsp://viewer:secret@10.0.3.11/stream1"
_ADD_EXAMPLES = {
    "on a line": {"value": {"name": "cam-7", "url": _URL, "line": "filling", "station": "capper", "fps": 10}},
    "a line of its own": {"value": {"name": "gate", "url": "https://10.0.3.12/live.m3u8", "recipe": "bottles"}},
}
_CHANGE_EXAMPLES = {
    "fewer pictures": {"value": {"fps": 5}},
    "all pictures": {"summary": "null means what it means in the config file", "value": {"fps": None}},
    "another password": {"value": {"url": _URL}},
}

NewCamera = Annotated[
    dict[str, Any],
    Body(openapi_examples=_ADD_EXAMPLES),
    _DescribedAs("NewCamera", as_changes=False, name=(Name, ...)),
]
CameraChanges = Annotated[
    dict[str, Any], Body(openapi_examples=_CHANGE_EXAMPLES), _DescribedAs("CameraChanges", as_changes=True)
]


class Changes(NamedTuple):
    """What a PATCH asks for."""

    changed: dict[str, Any]
    dropped: frozenset[str]  # settings given as null that cannot be null: what was changed of them is taken back


def changes_of(given: Mapping[str, Any]) -> Changes:
    """`null` is a value where the config file takes it as one; elsewhere it takes a change back."""
    dropped = {name for name, value in given.items() if value is None and _is_never_null(name)}
    return Changes({name: value for name, value in given.items() if name not in dropped}, frozenset(dropped))


def named(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name, and the settings without it. Raises ConfigError where there is none, or none that may be."""
    name = given.get("name")
    if not isinstance(name, str):
        raise ConfigError([Problem(("name",), "is needed and not there", f"a name is {NAME_RULE}")], "request")
    try:
        checked = camera_id(name[:_LONGEST_NAME_TOLD])
    except ValueError as exc:
        raise ConfigError([Problem(("name",), str(exc))], "request") from None
    return checked, {key: value for key, value in given.items() if key != "name"}


def _is_never_null(name: str) -> bool:
    return name in CameraConfig.model_fields and name not in _TAKES_NULL
