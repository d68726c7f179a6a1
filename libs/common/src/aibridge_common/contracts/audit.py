"""Who changed what, as every service shows it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from aibridge_common.structs import Reply


class AuditEntry(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Who changed what; `caller` is the name of a service token, `document` has no secret."""

    id: UUID
    at: datetime
    caller: Annotated[str, Meta(examples=["ops"])]
    action: Annotated[str, Meta(examples=["egress.put"])]
    subject: Annotated[str, Meta(examples=["frankfurt-1"])]
    document: Annotated[dict[str, Any], Meta(examples=[{"state": "draining"}])]


class AuditPage(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Newest first; `next` is the cursor of the following page."""

    rows: list[AuditEntry]
    next: UUID | None = None
