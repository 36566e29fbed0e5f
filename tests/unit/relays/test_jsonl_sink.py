"""Files of JSON lines: rotated by size and age, so many kept, and whole after whatever happened to the process."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.relays.jsonl_sink import JsonLinesSink, began_at, files_of, one_line, repair
from pipeline.relays.outgoing import Fate, OtherSideAway, Outgoing
from pipeline.relays.settings import JsonLinesRelaySettings
from tests.fakes import ManualClock

NOW = 1_800_000_000.0


def settings(folder: Path, **given: Any) -> JsonLinesRelaySettings:
    return JsonLinesRelaySettings.model_validate({"kind": "jsonl", "folder": folder, **given})


def message(name: str, topic: str = "events", padding: int = 0) -> Outgoing:
    data = orjson.dumps({"message_id": name, "pad": "x" * padding})
    return Outgoing(topic, "line-1", "cam-1", name, 0, data)


def ids(folder: Path, topic: str = "events") -> list[str]:
    """Of all whole lines, in the order of the files."""
    lines = [line for path in files_of(folder, topic) for line in path.read_bytes().splitlines()]
    return [orjson.loads(line)["message_id"] for line in lines]


async def test_a_topic_has_a_file_of_its_own(tmp_path: Path) -> None:
    sink = JsonLinesSink(settings(tmp_path / "out"))
    fates = await sink.send([message("a"), message("b", "inspections"), message("c")])
    assert [sent.fate for sent in fates] == [Fate.STORED] * 3
    await sink.close()
    assert ids(tmp_path / "out") == ["a", "c"]
    assert ids(tmp_path / "out", "inspections") == ["b"]


async def test_what_is_sent_can_be_read_at_once(tmp_path: Path) -> None:
    sink = JsonLinesSink(settings(tmp_path))
    await sink.send([message("a")])
    assert ids(tmp_path) == ["a"]
    await sink.close()


async def test_a_restart_goes_on_in_the_newest_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sink = JsonLinesSink(settings(tmp_path))
        await sink.send([message(name)])
        await sink.close()
    assert len(files_of(tmp_path, "events")) == 1
    assert ids(tmp_path) == ["a", "b"]


async def test_files_are_rotated_by_size_and_so_many_are_kept(tmp_path: Path) -> None:
    sink = JsonLinesSink(settings(tmp_path, max_file_bytes=1000, max_files=3))
    await sink.send([message(f"{n:02}", padding=170) for n in range(40)])  # 200 bytes each
    await sink.close()
    sizes = [path.stat().st_size for path in files_of(tmp_path, "events")]
    assert len(sizes) == 3
    assert all(1000 <= size < 1250 for size in sizes[:-1])
    assert ids(tmp_path) == [f"{n:02}" for n in range(40)][-len(ids(tmp_path)) :]


async def test_files_are_rotated_by_age_over_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    for after_s, files in ((0, 1), (59, 1), (2, 2)):
        clock.advance(after_s)
        sink = JsonLinesSink(settings(tmp_path, max_file_age_s=60), clock=clock)
        await sink.send([message(str(clock()))])
        await sink.close()
        assert len(files_of(tmp_path, "events")) == files


async def test_a_clock_set_back_does_not_put_a_new_file_before_the_old(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    sink = JsonLinesSink(settings(tmp_path, max_file_bytes=1000), clock=clock)
    await sink.send([message("a", padding=1000)])
    clock.advance(-3600)
    await sink.send([message("b", padding=1000)])
    await sink.close()
    assert ids(tmp_path) == ["a", "b"]
    assert began_at(files_of(tmp_path, "events")[0]) == NOW


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        pytest.param(b'{"a":1}\n{"a":', b'{"a":1}\n', id="half a line"),
        pytest.param(b'{"a":1}\n', b'{"a":1}\n', id="whole"),
        pytest.param(b'{"a":', b"", id="nothing but half a line"),
        pytest.param(b"", b"", id="empty"),
        pytest.param(b"1\n" + b"x" * 200_000, b"1\n", id="half a line longer than a block"),
        pytest.param(b"x" * 65_535 + b"\n" + b"y" * 65_536, b"x" * 65_535 + b"\n", id="exactly at a block"),
    ],
)
def test_half_a_line_at_the_end_is_cut(tmp_path: Path, content: bytes, whole: bytes) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(content)
    assert repair(file) == len(whole)
    assert file.read_bytes() == whole


async def test_after_a_crash_in_the_middle_of_a_line_the_file_goes_on_whole(tmp_path: Path) -> None:
    sink = JsonLinesSink(settings(tmp_path))
    await sink.send([message("a"), message("b")])
    await sink.close()
    (file,) = files_of(tmp_path, "events")
    with file.open("ab") as torn:
        torn.write(one_line(message("c").data)[:10])
    sink = JsonLinesSink(settings(tmp_path))
    await sink.send([message("c")])
    await sink.close()
    assert ids(tmp_path) == ["a", "b", "c"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full once a file has so many bytes; above what pytest itself writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


async def test_a_full_disk_leaves_whole_lines_and_all_is_sent_again(tmp_path: Path) -> None:
    sink = JsonLinesSink(settings(tmp_path))
    await sink.send([message("a")])
    two = [message("b", padding=3_000_000), message("c", padding=3_000_000)]
    with files_of_at_most(5_000_000), pytest.raises(OtherSideAway, match="File too large") as away:
        await sink.send(two)
    assert away.value.needs_a_person
    assert ids(tmp_path) == ["a"]
    await sink.send(two)
    await sink.close()
    assert ids(tmp_path) == ["a", "b", "c"]


async def test_a_topic_whose_file_cannot_be_written_keeps_no_other(tmp_path: Path) -> None:
    sink = JsonLinesSink(settings(tmp_path))
    in_the_way = tmp_path / "inspections-20261124T150000.000000Z.jsonl"
    in_the_way.mkdir()
    fates = await sink.send([message("a", "inspections"), message("b"), message("c", "inspections"), message("d")])
    assert [sent.fate for sent in fates] == [Fate.LEFT, Fate.STORED, Fate.LEFT, Fate.STORED]
    assert {(sent.needs_a_person, sent.reason) for sent in fates[::2]} == {(True, f"Is a directory: {in_the_way}")}
    left = [message("a", "inspections"), message("c", "inspections")]
    with pytest.raises(OtherSideAway, match="Is a directory"):
        await sink.send(left)
    in_the_way.rmdir()
    assert [sent.fate for sent in await sink.send(left)] == [Fate.STORED] * 2
    await sink.close()
    assert (ids(tmp_path), ids(tmp_path, "inspections")) == (["b", "d"], ["a", "c"])


async def test_of_a_topic_that_fills_the_disk_what_landed_is_stored(tmp_path: Path) -> None:
    sink = JsonLinesSink(settings(tmp_path, max_file_bytes=1_000_000, fsync="always"))
    three = [message("a", padding=1_000_000), message("b", padding=6_000_000), message("c")]
    with files_of_at_most(5_000_000):
        fates = await sink.send(three)
    assert [sent.fate for sent in fates] == [Fate.STORED, Fate.LEFT, Fate.LEFT]
    await sink.send(three[1:])
    await sink.close()
    assert ids(tmp_path) == ["a", "b", "c"]


async def test_two_relays_do_not_write_to_one_folder(tmp_path: Path) -> None:
    first, second = JsonLinesSink(settings(tmp_path)), JsonLinesSink(settings(tmp_path))
    await first.send([message("a")])
    with pytest.raises(OtherSideAway, match="another relay writes here"):
        await second.send([message("b")])
    await first.close()
    await second.send([message("b")])
    await second.close()
    assert ids(tmp_path) == ["a", "b"]


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OtherSideAway, match="file"):
        await JsonLinesSink(settings(tmp_path / "file" / "out")).send([message("a")])


@pytest.mark.parametrize(
    ("fsync", "at_once", "after_a_tick", "later"), [("always", 1, 1, 2), ("second", 0, 1, 2), ("never", 0, 0, 0)]
)
async def test_the_disk_has_it_when_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: str, at_once: int, after_a_tick: int, later: int
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    clock = ManualClock(NOW)
    sink = JsonLinesSink(settings(tmp_path, fsync=fsync), clock=clock)
    await sink.send([message("first")])
    synced.clear()
    await sink.send([message("a")])
    assert len(synced) == at_once
    await sink.tick()
    assert len(synced) == after_a_tick
    clock.advance(2)
    await sink.send([message("b")])
    assert len(synced) == later
    await sink.close()


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    for name in ("events-old.jsonl", "events-20261124T150000.000000Z.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_text("")
    assert files_of(tmp_path, "events") == []


def test_a_message_of_several_lines_becomes_one() -> None:
    assert one_line(b'{\n "a": 1\r\n}') == b'{  "a": 1  }\n'
