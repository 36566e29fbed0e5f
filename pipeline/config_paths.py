"""Where relative paths of a config file start: the file's own folder; `builtin:NAME` is what Rayline ships."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

BUILTIN = "builtin:"
WEIGHTS_FOLDER = Path(__file__).parent / "demo" / "weights"
WEIGHTS_SUFFIXES = (".onnx", ".pt")

_HISTORY = (("history", "data_dir"), ("history", "password_file"))
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+:")


def anchored(data: dict[str, Any], base: Path) -> dict[str, Any]:
    """A copy of a config's data in which weights, file cameras and folders are absolute."""
    data = copy.deepcopy(data)
    for model in _mappings(data.get("models")):
        _anchor(model, "weights", base)
        _anchor(model, "cache_dir", base)
    for camera in _mappings(data.get("cameras")):
        _anchor_url(camera, base)
        _anchor(camera, "username_file", base)
        _anchor(camera, "password_file", base)
    for relay in _mappings(data.get("relays")):
        for key in ("folder", "password_file", "ca_file", "cert_file", "key_file"):
            _anchor(relay, key, base)
    for topic in _mappings(data.get("topics")):
        for key in ("password_file", "ca_file", "cert_file", "key_file"):
            _anchor(topic, key, base)
        for messages in _mappings({"messages": topic.get("messages")}):
            _anchor(messages, "uri_root", base)
    for auth in _mappings({"auth": api.get("auth")} if isinstance(api := data.get("api"), dict) else None):
        for tokens in _mappings(auth):
            for key in ("secret_file", "jwks_file"):
                _anchor(tokens, key, base)
    for tls in _mappings({"tls": data["redis"].get("tls")} if isinstance(data.get("redis"), dict) else {}):
        for key in ("ca_file", "cert_file", "key_file"):
            _anchor(tls, key, base)
    if isinstance(alarms := data.get("alarms"), dict):
        _anchor_alarms(alarms, base)
    for section, key in (("snapshots", "uri"), ("redis", "data_dir"), ("spool", "dir"), *_HISTORY):
        if isinstance(data.get(section), dict):
            _anchor(data[section], key, base)
    return data


def _anchor_alarms(alarms: dict[str, Any], base: Path) -> None:
    for webhook in _mappings(alarms.get("webhooks")):
        _anchor(webhook, "secret_file", base)
        for files in _mappings({"files": webhook.get("header_files")}):
            for name in files:
                _anchor(files, name, base)
    for email in _mappings({"email": alarms.get("email")}):
        for key in ("ca_file", "password_file"):
            _anchor(email, key, base)


def builtin_weights(name: str) -> Path:
    """Path of weights that Rayline ships. They may be missing in a checkout where none were trained."""
    found = (WEIGHTS_FOLDER / f"{name}{suffix}" for suffix in WEIGHTS_SUFFIXES)
    return next((path for path in found if path.exists()), WEIGHTS_FOLDER / f"{name}{WEIGHTS_SUFFIXES[-1]}")


def _mappings(section: Any) -> list[dict[str, Any]]:
    return [entry for entry in section.values() if isinstance(entry, dict)] if isinstance(section, dict) else []


def _anchor(entry: dict[str, Any], key: str, base: Path) -> None:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        return
    if value.startswith(BUILTIN):
        entry[key] = str(builtin_weights(value.removeprefix(BUILTIN)))
    elif not _SCHEME.match(value):
        entry[key] = str(base / Path(value).expanduser())


def _anchor_url(camera: dict[str, Any], base: Path) -> None:
    url = camera.get("url")
    if not isinstance(url, str) or not url or url.startswith("file:/"):
        return
    if url.startswith("file:"):
        camera["url"] = f"file:{base / url.removeprefix('file:')}"
    elif not _SCHEME.match(url):
        camera["url"] = str(base / Path(url).expanduser())
