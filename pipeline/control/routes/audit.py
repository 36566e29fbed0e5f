"""Who changed what, and when."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from pipeline.control.services import Here
from pipeline.orchestrate.audit import AuditEntry, AuditLog

router = APIRouter(tags=["audit"])

MOST_ENTRIES = 1000
_ENTRY_ID = r"^[0-9]{1,20}-[0-9]{1,20}$"
EXAMPLE: dict[str, Any] = {
    "entries": [
        {
            "id": "1795861312400-0",
            "at": 1795861312.4,
            "by": {"name": "anna", "kind": "key", "role": "engineer", "address": "10.0.0.17"},
            "request_id": "5b0c1d6a7e5f4c6f9d5f6d0f3a2b1c0d",
            "action": "camera.set",
            "target": "cam-1",
            "line": "filling",
            "changes": {"fps": {"old": None, "new": 10.0}},
            "version": 12,
        }
    ],
    "next": "1795861312400-0",
}


class AuditPage(BaseModel):
    """Changes, newest first."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    entries: list[AuditEntry]
    next: str | None = Field(description="There are older ones: give this as `before`. null: these are the oldest.")


@router.get("/v1/audit", summary="Who changed what, newest first")
async def list_audit(
    here: Here,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES, description="At most so many.")] = 100,
    before: Annotated[
        str | None, Query(pattern=_ENTRY_ID, description="Only those older than the one of this id.")
    ] = None,
) -> AuditPage:
    """By the API, by commands and by starts of `rayline up`. Secrets are masked: where only a password changed, both
    sides look the same."""
    async with here.redis.use() as client:
        entries, oldest = await AuditLog(client).read(limit, before)
    return AuditPage(entries=entries, next=oldest)
