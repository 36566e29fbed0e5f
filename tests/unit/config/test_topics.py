"""Topics that would be read twice, or dead letters that would be read as pictures."""

from __future__ import annotations

import pytest

from pipeline.config_errors import ConfigError
from tests.unit.config.site import SITE, config_from

HERE = "{brokers: [kafka-1]"


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        pytest.param({"a": ", topic: b}", "b": "}"}, "is read by 'a' in group 'rayline' already", id="read twice"),
        pytest.param({"a": ", dead_letter_topic: a}"}, "would go to 'a', which is read", id="its own dead letters"),
        pytest.param({"a": "}", "a.dead-letters": "}"}, "would go to 'a.dead-letters'", id="another's dead letters"),
    ],
)
def test_topics_that_read_what_is_read_or_refused_already_are_refused(topics: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from(SITE + section(topics))


def test_two_groups_may_read_one_topic() -> None:
    config = config_from(SITE + section({"a": ", topic: b}", "b": ", group: other}"}))
    assert len(config.topics) == 2


def section(topics: dict[str, str]) -> str:
    return "topics:\n" + "".join(f"  {name}: {HERE}{rest}\n" for name, rest in topics.items())
