"""What billing tells the routers about leases."""

from uuid import UUID

from aibridge_common.structs import Event

RECALL_SUBJECT = "billing.v1.recall"


class LeasesRecalled(Event, frozen=True, kw_only=True, tag_field="type", tag="billing.recall.v1"):
    """A request of this account cannot begin because tokens lie in leases: give back what is free of them, now."""

    account_id: UUID
