"""One relay and what it does when a side of it, or its own bookkeeping, fails."""

from collections.abc import Sequence

import pytest

from pipeline.observe.metrics import Metrics
from pipeline.relays.outgoing import STORED, Outgoing, Sent
from pipeline.relays.relay import Relay
from pipeline.relays.settings import JsonLinesRelaySettings
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.reader_floors import ReaderFloors
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.fakes import ManualClock, RecordingMeter
from tests.redis_server import free_port
from tests.services.relay.rig import TOPICS, Site, relay_of

pytestmark = pytest.mark.services


class CountingSink:
    """Takes all, and counts what it is asked."""

    address = "nowhere"

    def __init__(self) -> None:
        self.sent = 0
        self.ticks = 0
        self.is_closed = False

    async def send(self, messages: Sequence[Outgoing]) -> list[Sent]:
        self.sent += len(messages)
        return [STORED] * len(messages)

    async def tick(self) -> None:
        self.ticks += 1

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def settings() -> JsonLinesRelaySettings:
    return JsonLinesRelaySettings.model_validate({"kind": "jsonl", "folder": "unused"})


async def test_while_redis_is_away_the_other_side_does_what_is_due(settings: JsonLinesRelaySettings) -> None:
    away = RedisSettings(url=f"redis://127.0.0.1:{free_port()}/0", retries=0)
    site, sink = Site(away, "line-1"), CountingSink()
    with pytest.raises(SinkUnavailable):
        await relay_of(site, settings, sink=sink).step()
    assert sink.ticks == 1
    await site.close()


class BrokenMeter(RecordingMeter):
    def set(self, name: str, value: float, tags: dict[str, str]) -> None:
        raise RuntimeError("no meter")


async def test_what_is_open_is_closed_though_the_good_bye_breaks(site: Site, settings: JsonLinesRelaySettings) -> None:
    sink = CountingSink()
    with pytest.raises(RuntimeError, match="no meter"):
        await relay_of(site, settings, meter=BrokenMeter(), sink=sink).run()
    assert sink.is_closed


async def test_a_line_it_finds_is_held_before_more_is_waited_for(site: Site, settings: JsonLinesRelaySettings) -> None:
    anywhere = settings.model_copy(update={"lines": None})
    relay = Relay("r", anywhere, site.settings, [], Metrics(RecordingMeter()), CountingSink(), clock=ManualClock())
    floors = ReaderFloors(site.settings)
    await site.publish(1)
    await relay.step()  # finds it
    await relay.step()
    assert (site.line, "relay-r") in [(each.line, each.group) for each in await floors.registered()]
    relay.finish()
    await relay.run()
    await floors.close()


async def test_the_keyspace_is_not_looked_through_each_second(site: Site, settings: JsonLinesRelaySettings) -> None:
    clock = ManualClock()
    its = settings.model_copy(update={"lines": (site.line,)})
    relay = Relay("r", its, site.settings, [], Metrics(RecordingMeter()), CountingSink(), clock=clock)
    client = connect(site.settings)

    async def scans() -> int:
        return int((await client.info("commandstats"))["cmdstat_scan"]["calls"])

    await site.publish(1)
    await relay.step()
    before = await scans()
    for _ in range(4):
        clock.advance(1)
        await relay.step()
    assert await scans() - before <= 2 * len(TOPICS)  # the reader's own
    relay.finish()
    await relay.run()
    await client.aclose()
