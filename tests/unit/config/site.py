"""A small config as YAML, and ways to change one thing of it."""

from pathlib import Path
from typing import Any

import yaml

from pipeline.config import RaylineConfig, config_of
from pipeline.config_file import parse_document

SITE = """\
version: 1
models:
  parts: {weights: parts.pt}
recipes:
  check:
    model: parts
    inspection:
      part_label: bottle
      trigger: [[0.6, 0.0], [0.6, 1.0]]
      required: [{label: cap}]
  watch: {model: parts}
lines:
  filling: {recipe: check}
cameras:
  cam-1:
    url: rtsp://viewer:hush-hush@192.0.2.1/a
    line: filling
    fps: 15
  cam-2:
    url: rtsp://192.0.2.2/b
    line: filling
    recipe: watch
  gate:
    url: rtsp://192.0.2.3/c
    recipe: watch
"""


def site() -> dict[str, Any]:
    """The config as plain data, to be changed."""
    data: dict[str, Any] = yaml.safe_load(SITE)
    return data


def config_from(text: str, base: Path | None = None, **environ: str) -> RaylineConfig:
    """The text as a config, with nothing in the environment but what is given."""
    return config_of(parse_document(text, "site.yaml", base or Path("/site"), environ))
