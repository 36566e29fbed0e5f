"""Out to Kafka: every message once it is stored there, in order by key, whatever happens on the way."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from aiokafka.structs import ConsumerRecord

from pipeline.relays.kafka_sink import KafkaSink
from pipeline.relays.outgoing import STORED, Outgoing
from pipeline.relays.relay import group_of
from pipeline.sinks.keys import camera_keys, dead_key
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import RedisSettings
from tests.fakes import RecordingMeter
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.redis_server import redis_server
from tests.services.relay.produce_gate import DUPLICATE, MESSAGE_TOO_LARGE, OUT_OF_ORDER, gated_broker
from tests.services.relay.rig import (
    TOPICS,
    Site,
    arrived,
    eventually,
    first_times,
    id_of,
    kafka_settings,
    relay_of,
    running,
)

pytestmark = pytest.mark.services


def topics_of(line: str) -> list[str]:
    return [f"{line}.{topic}" for topic in TOPICS]


async def test_all_three_topics_arrive_with_key_and_headers_in_order(broker: KafkaBroker, site: Site) -> None:
    meter = RecordingMeter()
    settings = kafka_settings(broker.address, topic="{line}.{kind}", lines=[site.line])
    await site.publish(5)
    async with running(relay_of(site, settings, meter=meter)) as relay:
        await site.publish(5)
        records = await arrived(broker.address, topics_of(site.line), 600)
        assert len(records) == 600
        by_key = first_times(records)
        for topic in ("detections", "events"):
            for camera in site.cameras:
                ids = [i for i in site.ids[topic] if f"/{camera}/" in i]
                assert by_key[f"{site.line}.{topic}", camera] == ids
        assert by_key[f"{site.line}.inspections", site.line] == site.ids["inspections"]
        record = next(record for record in records if record.topic.endswith("inspections"))
        assert dict(record.headers) == {
            "message_id": orjson.loads(record.value)["message_id"].encode(),
            "schema": b"rayline.inspection/1.0",
            "kind": b"inspection",
        }
        await eventually(lambda: relay.status().relayed == dict.fromkeys(TOPICS, 200))
    assert sum(meter.values("rayline_relayed", topic="events")) == 200


async def test_a_frozen_broker_costs_nothing(broker: KafkaBroker, site: Site) -> None:
    """Frozen for longer than a batch may take: what the broker did after all comes twice, and nothing is missing."""
    settings = kafka_settings(broker.address, topic="{line}.{kind}", request_timeout_s=0.5, max_in_flight=50)
    async with running(relay_of(site, settings)) as relay:
        await site.publish(2)
        await arrived(broker.address, topics_of(site.line), 120)
        await eventually(lambda: relay.status().relayed == dict.fromkeys(TOPICS, 40))
        broker.freeze()
        try:
            await site.publish(5)
            await asyncio.sleep(5)
            await eventually(lambda: relay.status().state == "waiting")
            status = relay.status()
        finally:
            broker.thaw()
        assert (status.state, status.relayed["events"]) == ("waiting", 40)
        assert "kafka at 127.0.0.1" in (status.last_error or "")
        records = await arrived(broker.address, topics_of(site.line), 420)
        assert {id_of(record) for record in records} == {i for ids in site.ids.values() for i in ids}
        in_order(site, records)
        await eventually(lambda: relay.status().state == "running")


async def test_a_broker_that_is_gone_and_comes_back_empty_gets_what_it_never_acknowledged(site: Site) -> None:
    with kafka_broker() as broker:
        settings = kafka_settings(broker.address, topic="{line}.{kind}", request_timeout_s=0.5)
        broker.kill()
        async with running(relay_of(site, settings)) as relay:
            await site.publish(3)
            await eventually(lambda: relay.status().state == "waiting")
            broker.start()
            records = await arrived(broker.address, topics_of(site.line), 180)
        assert len({id_of(record) for record in records}) == 180
        in_order(site, records)


async def test_a_message_too_large_is_set_aside_and_the_others_go_on(broker: KafkaBroker, site: Site) -> None:
    meter = RecordingMeter()
    settings = kafka_settings(broker.address, topic="{line}.{kind}", max_request_size=5000, topics=["events"])
    await site.publish(1)
    await site.publish(1, each=1, padding=6000)
    await site.publish(1)
    large = [i for i in site.ids["events"] if "/00002/" in i]
    async with running(relay_of(site, settings, meter=meter)) as relay:
        records = await arrived(broker.address, [f"{site.line}.events"], 40)
        assert [i for i in site.ids["events"] if i not in large] == sorted(map(id_of, records), key=site.order)
        await eventually(lambda: relay.status().refused == len(large))
    async with StreamReader(site.settings) as reader:
        dead = await reader.read(dead_key(camera_keys(site.line, "cam-a").events, group_of("r")))
    assert [entry.message_id for entry in dead] == large
    assert meter.total("rayline_relay_failures", reason="refused") == len(large)


async def test_redis_away_is_waited_for(broker: KafkaBroker, tmp_path: Path) -> None:
    with redis_server(tmp_path, keep=True) as server:
        site = Site(RedisSettings(url=server.url), "away")
        settings = kafka_settings(broker.address, topic="away.{kind}")
        async with running(relay_of(site, settings)) as relay:
            await site.publish(2)
            await arrived(broker.address, topics_of("away"), 120)
            server.kill()
            await eventually(lambda: relay.status().state == "waiting")
            server.start()
            await site.publish(2)
            records = await arrived(broker.address, topics_of("away"), 240)
        await site.close()
    assert {id_of(record) for record in records} == {i for ids in site.ids.values() for i in ids}
    in_order(site, records)


async def test_what_a_stopped_relay_has_not_read_is_kept_until_the_hard_limit(broker: KafkaBroker, site: Site) -> None:
    limits = {"maxlen_detections": 100, "maxlen_events": 100, "maxlen_inspections": 200, "maxlen_hard_factor": 4}
    small = Site(site.settings.model_copy(update=limits), site.line)
    settings = kafka_settings(broker.address, topic="{line}.{kind}", lines=[site.line])
    async with running(relay_of(small, settings)):
        await small.publish(1)
        await arrived(broker.address, topics_of(site.line), 60)
    await small.publish(38)  # it is stopped
    assert small.cuts == set()
    await small.publish(10)
    keys = camera_keys(site.line, "cam-a")
    assert {(cut.stream, cut.group) for cut in small.cuts} >= {(keys.detections, "relay-r"), (keys.events, "relay-r")}
    async with running(relay_of(small, settings)) as relay:
        records = await arrived(broker.address, topics_of(site.line), 60 + 2 * 2 * 400 + 800)
        assert relay.status().gaps == 5
    in_order(small, records)
    await small.publish(20)  # read by nobody, but what it read goes
    async with StreamReader(small.settings) as reader:
        assert len(await reader.read(keys.detections, count=10_000)) <= 400
    await small.close()


def in_order(site: Site, records: Sequence[ConsumerRecord]) -> None:
    """Of each topic and key, as a consumer sees them that drops what it has seen."""
    for (topic, _), ids in first_times(records).items():
        assert ids == sorted(ids, key=site.order), topic


async def test_what_the_broker_finds_too_large_is_taken_apart_down_to_the_message_it_refuses(site: Site) -> None:
    async with gated_broker() as (gate, _, address):
        gate.largest = 4000
        settings = kafka_settings(address, topic="{line}.{kind}", topics=["events"], compression="none")
        await site.publish(2)
        await site.publish(1, each=1, padding=6000)
        await site.publish(2)
        large = [i for i in site.ids["events"] if "/00003/" in i]
        async with running(relay_of(site, settings)) as relay:
            records = await arrived(address, [f"{site.line}.events"], 80)
            await eventually(lambda: relay.status().refused == len(large))
        assert {id_of(record) for record in records} == set(site.ids["events"]) - set(large)
        assert len(records) == 80
        in_order(site, records)
        assert gate.refused[MESSAGE_TOO_LARGE] > 2


async def test_batches_grow_again_when_the_large_messages_are_over() -> None:
    async with gated_broker() as (gate, _, address):
        sink = KafkaSink(kafka_settings(address, compression="none"))
        many = [Outgoing("events", "line-1", "cam-1", f"m{n}", 0, b"x" * 1000) for n in range(16)]
        gate.largest = 4000
        assert await sink.send(many) == [STORED] * len(many)
        gate.largest = 10**9
        batches = []
        for _ in range(5):
            before = gate.answers
            await sink.send(many)
            batches.append(gate.answers - before)
        await sink.close()
    assert batches[0] > 1
    assert batches[-1] == 1


async def test_answers_lost_on_the_way_cost_repeats_and_nothing_else(site: Site) -> None:
    """Every third batch is stored, and its answer lost: without idempotence it is sent again."""
    async with gated_broker() as (gate, _, address):
        gate.loses = lambda answer: answer % 3 == 0
        settings = kafka_settings(address, topic="{line}.{kind}", max_in_flight=20, request_timeout_s=1)
        await site.publish(10)
        async with running(relay_of(site, settings)):
            records = await arrived(address, topics_of(site.line), 600)
        assert gate.lost > 5
        assert {id_of(record) for record in records} == {i for ids in site.ids.values() for i in ids}
        in_order(site, records)


async def test_an_idempotent_producer_repeats_nothing_though_answers_get_lost(site: Site) -> None:
    async with gated_broker() as (gate, _, address):
        gate.idempotent = True
        gate.loses = lambda answer: answer % 3 == 0
        settings = kafka_settings(address, topic="{line}.{kind}", max_in_flight=20, enable_idempotence=True)
        await site.publish(10)
        async with running(relay_of(site, settings)):
            records = await arrived(address, topics_of(site.line), 600)
        assert (gate.lost > 5, gate.refused[DUPLICATE] > 5, gate.refused[OUT_OF_ORDER]) == (True, True, 0)
        assert sorted(map(id_of, records)) == sorted(i for ids in site.ids.values() for i in ids)
        in_order(site, records)


async def test_an_idempotent_producer_goes_on_behind_a_message_the_broker_refuses(site: Site) -> None:
    async with gated_broker() as (gate, _, address):
        gate.idempotent, gate.largest = True, 4000
        settings = kafka_settings(
            address, topic="{line}.{kind}", topics=["events"], compression="none", enable_idempotence=True
        )
        await site.publish(2)
        await site.publish(1, each=1, padding=6000)
        await site.publish(2)
        async with running(relay_of(site, settings)) as relay:
            records = await arrived(address, [f"{site.line}.events"], 80)
            await eventually(lambda: relay.status().refused == 2)
        assert len(records) == 80
        assert gate.refused[OUT_OF_ORDER] == 0
        in_order(site, records)
