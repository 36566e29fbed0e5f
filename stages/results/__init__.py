"""Results on the wire: build them (`messages`), read them (`models`)."""

from stages.results.models import Message, MessageError, export_schemas, parse_message

__all__ = ["Message", "MessageError", "export_schemas", "parse_message"]
