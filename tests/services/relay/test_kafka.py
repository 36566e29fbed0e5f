"""Out to Kafka: every message once it is stored there, in order by key, whatever happens on the way."""

import asyncio

import orjson
import pytest

from pipeline.sinks.keys import camera_keys, dead_key
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.relay import group_of
from tests.fakes import RecordingMeter
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.services.relay.rig import TOPICS, Site, arrived, first_times, id_of, kafka_settings, relay_of, running

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
        assert relay.status().relayed == dict.fromkeys(TOPICS, 200)
    assert sum(meter.values("rayline_relayed", topic="events")) == 200
