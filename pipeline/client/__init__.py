"""Rayline's streams for programs: `subscribe`, `consume`, `read`; without asyncio: `pipeline.client.sync`."""

from pipeline.client.handling import Handler, consume
from pipeline.client.messages import EntriesLostError, Message, UnreadableError
from pipeline.client.reading import read
from pipeline.client.settings import SubscriberSettings
from pipeline.client.subscription import Subscription, subscribe
from pipeline.sinks.group_reader import EntriesLost
from stages.results.models import DetectionMessage, EventMessage, InspectionMessage, UninspectedMessage

__all__ = [
    "DetectionMessage",
    "EntriesLost",
    "EntriesLostError",
    "EventMessage",
    "Handler",
    "InspectionMessage",
    "Message",
    "SubscriberSettings",
    "Subscription",
    "UninspectedMessage",
    "UnreadableError",
    "consume",
    "read",
    "subscribe",
]
