"""The JSON Schema by which editors check and complete a config file."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from pipeline.config import RaylineConfig
from pipeline.config_file import SECRET_FILE_KEYS

_FROM_ENV = "FromEnvironment"
_SCALARS = {"integer", "number", "boolean"}


def config_schema() -> dict[str, Any]:
    """What `configs/schemas/rayline.config.json` holds: the config's schema, in the file's own terms."""
    schema = RaylineConfig.model_json_schema(schema_generator=_Generator)
    parts = schema["$defs"]
    del parts["CameraConfig"]["properties"]["camera_id"]  # the key is the camera's name
    for section in ("CameraConfig", "RedisConfig", "PartCounterSettings", "WebhookSettings"):
        _add_secret_files(parts[section])
    for part in [schema, *parts.values()]:
        for name, field in part.get("properties", {}).items():
            part["properties"][name] = _or_from_environment(field)
    parts[_FROM_ENV] = {
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
        "description": "Taken from the environment: ${NAME}, or ${NAME:-default}.",
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "rayline.config/1", "title": "Rayline"}
    return {**head, **{key: value for key, value in schema.items() if key not in head}}


class _Generator(GenerateJsonSchema):
    """Secrets are text like any other in a file; shown defaults would read as `**********`."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("format") == "password":
            made.pop("default", None)
        return made


def _add_secret_files(section: dict[str, Any]) -> None:
    for key in SECRET_FILE_KEYS:
        section["properties"][f"{key}_file"] = {
            "type": "string",
            "description": f"File that holds the `{key}`; stands in its place. Relative to the config file.",
        }
        if key in section.get("required", []):
            section["required"].remove(key)
            section["oneOf"] = [{"required": [key]}, {"required": [f"{key}_file"]}]
            if not section["required"]:
                del section["required"]


def _or_from_environment(field: dict[str, Any]) -> dict[str, Any]:
    """A number or a switch may also be written ${NAME}."""
    reference = {"$ref": f"#/$defs/{_FROM_ENV}"}
    if "anyOf" in field and any(option.get("type") in _SCALARS for option in field["anyOf"]):
        return {**field, "anyOf": [*field["anyOf"], reference]}
    if field.get("type") in _SCALARS:
        told: dict[str, Any] = {key: field[key] for key in ("description", "default", "title") if key in field}
        value = {key: field[key] for key in field if key not in told}
        return {"anyOf": [value, reference], **told}
    return field
