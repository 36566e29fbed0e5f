"""`rayline dead-letters`: Kafka messages that gave no picture: why, and back to where they came from."""

from __future__ import annotations

import json
import logging
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pipeline.commands.common import USAGE, JsonOption, complain, err, out, run

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.ingest.kafka.dead_letter_topic import DeadLetterTopics, Redriven
    from pipeline.ingest.kafka.dead_letters import DeadLetter

app = typer.Typer(no_args_is_help=True, help="See Kafka messages that gave no picture, and send them back.")

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file; it names the topics.")]

T = TypeVar("T")


@app.command("list")
def list_letters(
    config: ConfigArgument,
    topic: Annotated[str | None, typer.Option(metavar="NAME", help="Of this topic only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many of each topic, the latest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show which messages gave no picture, and why; the latest last. With --json one a line."""
    topics = _topics_in(config)
    for name in [_known(topic, topics)] if topic else sorted(topics):
        show(topics[name], limit, as_json)


@app.command()
def redrive(
    config: ConfigArgument,
    topic: Annotated[str, typer.Option(metavar="NAME", help="The topic whose messages go back to it.")],
    offset: Annotated[
        list[int] | None,
        typer.Option(min=0, metavar="N", help="This dead letter, sent back before or not; may be given often."),
    ] = None,
    partition: Annotated[
        int, typer.Option(min=0, metavar="P", help="With --offset: partition of the dead letter.")
    ] = 0,
    everything: Annotated[bool, typer.Option("--all", help="All that were not sent back yet.")] = False,
    code: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only those refused for this, such as fetch_failed.")
    ] = None,
) -> None:
    """Send messages back to the topic they came from, with their key, headers and time."""
    if bool(offset) == (everything or code is not None):
        raise typer.BadParameter("give --offset, or --all, or --code", param_hint="--offset / --all / --code")
    topics = _topics_in(config)
    send_back(topics[_known(topic, topics)], code, partition, offset or [])


def show(topics: DeadLetterTopics, limit: int, as_json: bool) -> None:
    """Print a topic's dead letters."""
    from pipeline.ingest.kafka.dead_letter_topic import NoSuchTopic, newest

    try:
        letters = _asked(newest(topics, limit))
    except NoSuchTopic:
        letters = []
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(_plain(letter)))
    elif letters:
        out.print(_table(letters))
    else:
        err.print(f"no dead letters of {topics.topic}", markup=False)


def send_back(topics: DeadLetterTopics, code: str | None, partition: int, offsets: list[int]) -> None:
    """Send messages of a topic back and tell how many."""
    from pipeline.ingest.kafka import dead_letter_topic as kafka

    done = _asked(kafka.redrive_these(topics, partition, offsets) if offsets else kafka.redrive(topics, code))
    typer.echo(_told(done, topics.topic))
    if done.cut or done.strange:
        raise typer.Exit(1)


def _topics_in(path: Path) -> Mapping[str, DeadLetterTopics]:
    from pipeline.config import load_config

    topics = _topics_of(load_config(path))
    if not topics:
        raise typer.BadParameter(f"{path} names no topics", param_hint="CONFIG")
    return topics


def _topics_of(config: RaylineConfig) -> Mapping[str, DeadLetterTopics]:
    """The config's topics by name."""
    from pipeline.ingest.kafka.dead_letter_topic import DeadLetterTopics

    found = {}
    for name, settings in config.topics.items():
        topic = settings.topic_name(name)
        found[name] = DeadLetterTopics(topic, settings.dead_letters_of(topic), settings.group, settings)
    return found


def _known(topic: str, topics: Mapping[str, DeadLetterTopics]) -> str:
    from pipeline.names import choices

    if topic not in topics:
        raise typer.BadParameter(f"there is no {topic!r}; topics: {choices(topics)}", param_hint="--topic")
    return topic


def _asked(work: Coroutine[Any, Any, T]) -> T:
    """The answer of Kafka, whose library would tell every try to reach it."""
    from pipeline.ingest.kafka.dead_letter_topic import KafkaAway

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    try:
        return run(work)
    except KafkaAway as exc:
        complain(str(exc))
        raise typer.Exit(USAGE) from None


def _told(done: Redriven, topic: str) -> str:
    told = f"{done.sent} sent back to {topic}"
    if done.cut:
        told += f"; {done.cut} cannot be: their bytes were too many to be kept"
    if done.strange:
        told += f"; {done.strange} are no dead letters"
    return told


def _table(letters: list[DeadLetter]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("at", "came from", "key", "when", "bytes", "code", "reason"):
        table.add_column(name, overflow="fold", justify="right" if name == "bytes" else "left")
    for letter in letters:
        plain = _plain(letter)
        at = f"{letter.partition}/{letter.offset}"
        whence = f"{plain['from_topic']} {plain['from_partition']}/{plain['from_offset']}"
        size = f"{plain['bytes']}{' (not kept)' if plain['cut'] else ''}"
        cells = (at, whence, plain["key"] or "", plain["failed_at"], size, plain["code"], plain["reason"])
        table.add_row(*(escape(_printable(cell)) for cell in cells))
    return table


def _printable(text: str) -> str:
    """Whoever may write to the topic chooses keys, and shall not steer the terminal with them."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _plain(letter: DeadLetter) -> dict[str, Any]:
    message = letter.message
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "from_topic": message.topic,
        "from_partition": message.partition,
        "from_offset": message.offset,
        "key": None if message.key is None else message.key.decode(errors="backslashreplace"),
        "failed_at": letter.failed_at,
        "code": letter.code,
        "reason": letter.reason,
        "bytes": letter.size_bytes,
        "cut": letter.is_cut,
        "redriven": letter.redriven,
    }
