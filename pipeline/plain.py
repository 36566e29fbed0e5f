"""Settings as plain JSON data: in clear for a store or a hash, which no screen ever sees; masked for people."""

from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, SecretStr

from pipeline.ingest.address import SecretUrl, mask
from pipeline.masking import MASK


def plain(value: Any, *, defaults: bool = False) -> Any:
    """Models become mappings of the fields that were set; validating the answer gives an equal model back.

    With `defaults`, of all fields. Secrets are in clear.
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
        case Mapping():
            return {str(key): plain(inner, defaults=defaults) for key, inner in value.items()}
        case set() | frozenset():
            return sorted(plain(item, defaults=defaults) for item in value)
        case list() | tuple():
            return [plain(item, defaults=defaults) for item in value]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"settings hold a {type(value).__name__}, which is not plain data")


def shown(value: Any, *, defaults: bool = False) -> Any:
    """The same for people: addresses and texts are masked, and so is all that a field holds which `repr` hides."""
    match value:
        case BaseModel():
            names = type(value).model_fields if defaults else value.model_fields_set
            hidden = {name for name, field in type(value).model_fields.items() if not field.repr}
            return {
                name: _hidden(inner) if name in hidden else shown(inner, defaults=defaults)
                for name in sorted(names)
                for inner in [getattr(value, name)]
            }
        case SecretUrl():
            return str(value)
        case SecretStr():
            return MASK
        case str() if not isinstance(value, Enum):
            return mask(value) if "=" in value or "://" in value else value  # nowhere else is anything masked
        case PurePath():
            return mask(str(value))
        case Mapping():
            return {str(key): shown(inner, defaults=defaults) for key, inner in value.items()}
        case list() | tuple():
            return [shown(item, defaults=defaults) for item in value]
    return plain(value, defaults=defaults)


def _hidden(value: Any) -> Any:
    """Which entries there are is no secret, only what they hold."""
    if isinstance(value, Mapping):
        return {str(key): MASK for key in value}
    return MASK if value else value
