"""`rayline token`: keys and signed tokens for the HTTP API."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.common import JsonOption, RedisOption, err, out, redis_settings, run, stores

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.control.access.api_keys import ApiKey, KeyRecord
    from pipeline.control.access.key_store import KeyStore
    from pipeline.control.access.roles import Role
    from pipeline.control.access.token_settings import OwnTokenSettings

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke keys for the HTTP API, and sign tokens.")

DAY_S = 86_400

RoleOption = Annotated[
    str, typer.Option(metavar="ROLE", help="viewer, operator, engineer or admin; each may what those before it may.")
]
LineOption = Annotated[
    list[str] | None, typer.Option("--line", metavar="LINE", help="A line it is for; may be given again. Default: all.")
]


@app.command()
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: what the audit log will say.")],
    role: RoleOption = "viewer",
    line: LineOption = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it holds.")] = 365,
    forever: Annotated[bool, typer.Option("--forever", help="It holds until it is revoked.")] = False,
    for_config: Annotated[
        bool,
        typer.Option(
            "--for-config", help="Keep nothing in Redis: print the entry for `api.auth.keys` of the config file too."
        ),
    ] = False,
    as_json: JsonOption = False,
    redis: RedisOption = None,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from pipeline.control.access.api_keys import ApiKey

    known, lines = _role(role), _lines(line)
    lifetime_s = None if forever else days * DAY_S
    _require_name(name)
    key = ApiKey.new() if for_config else run(_make(redis, name, known, lines, lifetime_s))
    expires_at = None if lifetime_s is None else time.time() + lifetime_s
    entry = {"name": name, "sha256": key.sha256, "role": known.value, "lines": list(lines), "expires": _day(expires_at)}
    if as_json:
        out.print_json(data={"key": key.text, "id": key.key_id, **entry})
        return
    typer.echo(key.text)
    holds = "until it is revoked" if expires_at is None else f"until {_day(expires_at)}"
    err.print(
        f"{name} is {known.value} on {_told(lines)} with it, {holds}. It is shown this once.",
        markup=False,
        soft_wrap=True,
    )
    if for_config:
        err.print("Put this into the config file, and start Rayline again:\n", markup=False, soft_wrap=True)
        err.print(_yaml(entry), markup=False, soft_wrap=True)


@app.command("list")
def list_keys(as_json: JsonOption = False, redis: RedisOption = None) -> None:
    """Show the keys in Redis; those of the config file stand there."""
    from rich.table import Table

    keys = run(_list(redis))
    now = time.time()
    rows = [_row(key_id, record, now) for key_id, record in keys.items()]
    if as_json:
        out.print_json(data={"keys": rows})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "id", "role", "lines", "made", "expires"):
        table.add_column(column, overflow="fold")
    for row in rows:
        expires = f"{row['expires'] or 'never'}{' (over)' if row['expired'] else ''}"
        table.add_row(row["name"], row["id"], row["role"], " ".join(row["lines"]), row["made"], expires)
    out.print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its id: what stands behind rl_ in it.")],
    redis: RedisOption = None,
) -> None:
    """Take a key back: within 5 s nobody is let in with it."""
    record = run(_revoke(redis, name))
    typer.echo(f"the key of {record.name} is revoked")


@app.command("hash")
def hash_key() -> None:
    """Read a key from standard input and print its hash, as `api.auth.keys` wants it."""
    from pipeline.control.access.api_keys import ApiKey

    key = ApiKey.parse(sys.stdin.readline(1000).strip())
    if key is None:
        raise typer.BadParameter("this is no key that `rayline token make` made", param_hint="standard input")
    typer.echo(key.sha256)


@app.command("jwt")
def sign_token(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Whose it is: what the audit log will say.")],
    role: RoleOption = "viewer",
    line: LineOption = None,
    hours: Annotated[float, typer.Option(min=0.01, max=8760, help="How long it holds; it cannot be revoked.")] = 8.0,
    config: Annotated[
        Path | None,
        typer.Option(help="Config file whose `api.auth.own` signs it. Default: the config that is running."),
    ] = None,
    redis: RedisOption = None,
) -> None:
    """Sign a token (JWT) with the secret of `api.auth.own` and print it."""
    from pipeline.control.access.claims import LONGEST_NAME, is_subject
    from pipeline.control.access.tokens import sign

    known, lines = _role(role), _lines(line)
    if not is_subject(subject):
        raise typer.BadParameter(f"1 to {LONGEST_NAME} printable characters", param_hint="SUBJECT")
    settings = _own_tokens(config, redis)
    typer.echo(sign(settings, subject, known, lines, hours * 3600))
    err.print(f"{subject} is {known.value} on {_told(lines)} with it for {hours:g} h.", markup=False, soft_wrap=True)


@asynccontextmanager
async def _keys(redis: str | None) -> AsyncIterator[KeyStore]:
    from pipeline.control.access.key_store import KeyStore
    from pipeline.sinks.redis_client import RedisLink

    link = RedisLink(redis_settings(redis))
    try:
        async with link.use() as client:
            yield KeyStore(client)
    finally:
        await link.close()


async def _make(redis: str | None, name: str, role: Role, lines: tuple[str, ...], lifetime_s: float | None) -> ApiKey:
    async with _keys(redis) as keys:
        return await keys.make(name, role, lines, lifetime_s)


async def _list(redis: str | None) -> Mapping[str, KeyRecord]:
    async with _keys(redis) as keys:
        return await keys.list()


async def _revoke(redis: str | None, name: str) -> KeyRecord:
    async with _keys(redis) as keys:
        return await keys.revoke(name)


def _own_tokens(config: Path | None, redis: str | None) -> OwnTokenSettings:
    from pipeline.config import load_config
    from pipeline.control.access.token_settings import TokensMisconfigured

    loaded = load_config(config) if config is not None else run(_running(redis))
    own = loaded.api.auth.own if loaded.api is not None else None
    if own is None:
        where = config or "the config that is running"
        raise TokensMisconfigured(f"{where} has no `api.auth.own`, whose secret signs tokens; `token make` needs none")
    return own


async def _running(redis: str | None) -> RaylineConfig:
    async with stores(redis) as here:
        return (await here.desired.read()).config


def _role(text: str) -> Role:
    from pipeline.control.access.roles import Role

    try:
        return Role(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: {', '.join(Role)}", param_hint="--role") from None


def _lines(given: list[str] | None) -> tuple[str, ...]:
    from pipeline.control.access.roles import EVERY_LINE
    from pipeline.names import line_id

    try:
        return tuple(line_id(line) for line in given) if given else (EVERY_LINE,)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--line") from None


def _require_name(name: str) -> None:
    from pipeline.names import NAME_RULE, is_name

    if not is_name(name):
        raise typer.BadParameter(f"{name!r}: {NAME_RULE}", param_hint="NAME")


def _told(lines: tuple[str, ...]) -> str:
    return "every line" if "*" in lines else ", ".join(lines)


def _day(at: float | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _row(key_id: str, record: KeyRecord, now: float) -> dict[str, Any]:
    return {
        "name": record.name,
        "id": key_id,
        "role": record.role.value,
        "lines": list(record.lines),
        "made": _day(record.created_at),
        "expires": _day(record.expires_at),
        "expired": record.is_expired(now),
    }


def _yaml(entry: dict[str, Any]) -> str:
    import yaml

    kept = {key: value for key, value in entry.items() if value is not None}
    return yaml.safe_dump({"api": {"auth": {"keys": [kept]}}}, sort_keys=False, default_flow_style=None)
