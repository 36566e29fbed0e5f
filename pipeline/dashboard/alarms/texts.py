"""What the page of alarms says."""

from __future__ import annotations

from collections.abc import Mapping

ALARMS: Mapping[str, str] = {
    "alarms.before": "Before",
    "alarms.none_now": "No alarm holds.",
    "alarms.none_before": "No alarm is over yet.",
    "alarms.count": "{count} hold, {open} of them not acknowledged",
    "alarms.kind.reject_rate": "Too many rejects",
    "alarms.kind.run_rule": "Process out of control",
    "alarms.kind.camera_blind": "Camera blind",
    "alarms.kind.latency": "Verdicts come late",
    "alarms.since": "for {duration}, since {at}",
    "alarms.acknowledge": "Acknowledge",
    "alarms.acknowledge_what": "Acknowledge: {what}",
    "alarms.acknowledged": "Acknowledged by {by} at {at}",
    "alarms.acknowledged_note": "Acknowledged by {by} at {at}: {note}",
    "alarms.nobody": "Nobody",
    "alarms.note": "Note, for those who come after you",
    "alarms.cancel": "Cancel",
    "alarms.done": "Acknowledged",
    "alarms.older": "Older",
    "alarms.column.severity": "Severity",
    "alarms.column.what": "What",
    "alarms.column.where": "Where",
    "alarms.column.detail": "Detail",
    "alarms.column.raised": "Raised",
    "alarms.column.lasted": "Lasted",
    "alarms.column.acknowledged": "Acknowledged",
}
