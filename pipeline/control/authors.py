"""Who makes the change that a request asks for, as the audit log tells it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from pipeline.control.problems import request_id_of
from pipeline.control.services import Caller
from pipeline.orchestrate.audit import Author


def author_of(connection: HTTPConnection, caller: Caller) -> Author:
    """Of whoever the gate recognised."""
    address = connection.client.host if connection.client is not None else ""
    return Author(caller.name, caller.kind, caller.role.value, address, request_id_of(connection.scope))


By = Annotated[Author, Depends(author_of)]
