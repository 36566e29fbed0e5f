"""What raises an alarm, for every line or for one, and who is told."""

from __future__ import annotations

from typing import Self

from pydantic import AnyHttpUrl, Field, model_validator

from pipeline.alarms.camera_blind import CameraBlindRule
from pipeline.alarms.latency_burn import LatencyRule
from pipeline.alarms.mail_settings import EmailSettings
from pipeline.alarms.reject_rate import RejectRateRule
from pipeline.alarms.run_rule import RunRuleRule
from pipeline.alarms.webhook_settings import WebhookSettings
from pipeline.names import Name
from stages.settings import Settings

EMAIL = "email"  # what its notices are filed under; no webhook may be called so


class AlarmRules(Settings):
    """The rules of a line; one that is null is not looked at."""

    reject_rate: RejectRateRule | None = Field(None, description="Too many parts rejected. null: no such alarm.")
    run_rule: RunRuleRule | None = Field(None, description="A control chart out of control. null: no such alarm.")
    camera_blind: CameraBlindRule | None = Field(
        default_factory=CameraBlindRule, description="A camera that sees nothing. null: no such alarm."
    )
    latency: LatencyRule | None = Field(None, description="Verdicts that come late too often. null: no such alarm.")


class AlarmSettings(AlarmRules):
    """Alarms are raised by the process that keeps the history; without `history` there are none."""

    lines: dict[Name, AlarmRules] = Field(
        default_factory=dict,
        description="By line: rules of its own. A rule that stands there, null too, takes the place of the one above; "
        "the others hold as above.",
    )
    every_s: float = Field(
        5.0,
        ge=0.2,
        le=60,
        description="Seconds between two looks. Shorter tells sooner and asks the database more often; charts and "
        "latency are looked at once a minute.",
    )
    webhooks: dict[Name, WebhookSettings] = Field(
        default_factory=dict, max_length=20, description="By name: HTTP servers that are told."
    )
    email: EmailSettings | None = Field(None, description="People who are told by e-mail. null: nobody.")
    repeat_after_min: float | None = Field(
        60.0,
        ge=1,
        le=10_080,
        description="Minutes after which an alarm that still holds and that nobody has acknowledged is told again. "
        "Shorter is harder to overlook, and to bear. null: never.",
    )
    tell_cleared: bool = Field(True, description="Whether the end of an alarm is told, to those told of its beginning.")
    page_url: AnyHttpUrl | None = Field(
        None,
        description="Address of the dashboard as those who are told reach it; stands in every message. null: none.",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if EMAIL in self.webhooks:
            raise ValueError(f"webhooks: {EMAIL!r} means the e-mail: call it otherwise")
        return self

    def rules(self, line: str) -> AlarmRules:
        """What holds for the line."""
        own = self.lines.get(line)
        fields = AlarmRules.model_fields
        chosen = {name: own if own is not None and name in own.model_fields_set else self for name in fields}
        return AlarmRules(**{name: getattr(holder, name) for name, holder in chosen.items()})
