"""Who a camera is, as it stands beside what waits on disk: by position, so its fields belong to the file's version."""

from dataclasses import fields

from pipeline.sinks.spool import SCHEMA_VERSION
from stages.results.messages import ResultContext


def test_the_fields_on_disk_are_those_of_this_version() -> None:
    """Whoever changes them counts the version up: a file of before would be read with its values in wrong places."""
    assert SCHEMA_VERSION == 2
    names = ["line", "station", "source_kind", "recipe", "config_hash", "counts"]
    assert [field.name for field in fields(ResultContext)] == names
