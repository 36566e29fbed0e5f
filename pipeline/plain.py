"""Settings as plain JSON data with secrets in clear: what a store or a hash takes, and no screen ever sees."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, SecretStr

from pipeline.ingest.address import SecretUrl


def plain(value: Any, *, defaults: bool = False) -> Any:
    """Models become mappings of the fields that were set; validating the answer gives an equal model back.

    With `defaults`, of all fields.
    """
    match value:
        case BaseModel():
            names = type(value).model_fields if defaults else value.model_fields_set
            return {name: plain(getattr(value, name), defaults=defaults) for name in sorted(names)}
        case SecretStr() | SecretUrl():
            return value.get_secret_value()
        case Enum():
            return value.value
        case PurePath():
            return str(value)
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(inner, defaults=defaults) for key, inner in value.items()}
        case set() | frozenset():
            return sorted(plain(item, defaults=defaults) for item in value)
        case list() | tuple():
            return [plain(item, defaults=defaults) for item in value]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"settings hold a {type(value).__name__}, which is not plain data")
