"""`rayline schema`: JSON Schemas of the config file and of the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

CONFIG_SCHEMA = "config"


def schema(
    name: Annotated[
        str, typer.Argument(help="config, detection, event, inspection or uninspected; all with --out.")
    ] = CONFIG_SCHEMA,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write all of them there, a file each.")
    ] = None,
) -> None:
    """Print a JSON Schema, or write all of them; editors check YAML by the config's."""
    schemas = all_schemas()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for each, content in schemas.items():
            (folder / schema_file(each)).write_text(schema_text(content), encoding="utf-8")
        typer.echo(f"wrote {len(schemas)} schemas to {folder}")
        return
    if name not in schemas:
        raise typer.BadParameter(f"there is no schema {name!r}; there are: {', '.join(schemas)}")
    typer.echo(schema_text(schemas[name]), nl=False)


def all_schemas() -> dict[str, dict[str, Any]]:
    """Every JSON Schema by name, the config's first."""
    from pipeline.config_schema import config_schema
    from stages.results.models import export_schemas

    return {CONFIG_SCHEMA: config_schema(), **export_schemas()}


def schema_file(name: str) -> str:
    """What the file of a schema is called."""
    return "rayline.config.json" if name == CONFIG_SCHEMA else f"{name}.json"


def schema_text(content: dict[str, Any]) -> str:
    """As it stands in the file: the same text for the same schema."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
