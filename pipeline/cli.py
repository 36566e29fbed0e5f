"""The `rayline` command: one sub-command per file of `pipeline/commands`."""

from __future__ import annotations

import sys

import typer

from pipeline.commands import (
    audit,
    cameras,
    changeover,
    check,
    consume,
    dashboard,
    dead_letters,
    demo,
    doctor,
    history,
    history_export,
    plan,
    profile,
    quantize,
    relay,
    schema,
    snapshot,
    status,
    token,
    up,
)
from pipeline.commands.common import USAGE, complain, version_told

app = typer.Typer(
    name="rayline",
    help="Streaming video analytics: cameras in, detection topics and a verdict per part out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its frames show local variables, and those hold passwords
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done, 1 failed, 2 the command or the configuration is wrong.",
)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("check")(check.check)
app.command("status")(status.status)
app.command("profile")(profile.profile)
app.command("dashboard")(dashboard.dashboard)
app.add_typer(cameras.app, name="cameras")
app.add_typer(token.app, name="token")
app.command("audit")(audit.audit)
app.add_typer(changeover.app, name="lines")
app.command("snapshot")(snapshot.snapshot)
app.command("consume")(consume.consume)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("relay")(relay.relay)
app.add_typer(relay.app, name="relays")
history.app.command("export")(history_export.export)
app.add_typer(history.app, name="history")
app.command("doctor")(doctor.doctor)
app.command("plan")(plan.plan)
app.command("quantize")(quantize.quantize)
app.command("schema")(schema.schema)


@app.callback()
def _rayline(
    version: bool = typer.Option(False, "--version", callback=version_told, is_eager=True, help="Tell it and leave."),
) -> None:
    """Streaming video analytics: cameras in, detection topics and a verdict per part out."""


def main() -> None:
    """Run the command line; what Rayline raises on purpose becomes a sentence and an exit code."""
    from pipeline.config_errors import ConfigError
    from pipeline.sinks.errors import SinkUnavailable
    from stages.errors import RaylineError

    try:
        app()
    except ConfigError as exc:
        complain(str(exc))
        sys.exit(USAGE)
    except SinkUnavailable as exc:
        complain(f"{exc}\nstart Rayline with `rayline up`, or name its Redis with --redis URL")
        sys.exit(1)
    except RaylineError as exc:
        complain(str(exc))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `rayline consume | head` has seen enough
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
