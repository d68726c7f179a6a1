"""Asks routers for what lies in their leases and may be free."""

from uuid import UUID

import msgspec

from aibridge_common.bus.nats import Bus
from aibridge_common.events.leases import RECALL_SUBJECT, LeasesRecalled


async def recall_leases(bus: Bus, account_id: UUID) -> None:
    """A hint: whoever does not hear it gives back when its lease ends."""
    await bus.hint(RECALL_SUBJECT, msgspec.json.encode(LeasesRecalled(account_id=account_id)))
