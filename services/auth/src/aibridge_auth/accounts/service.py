"""What holds for all keys of an account."""

from uuid import UUID

from aibridge_auth.accounts import store
from aibridge_auth.changes.notices import Notices
from aibridge_auth.changes.store import number_change
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import NotFound
from aibridge_common.routing import RoutingOptions


class Accounts:
    """The account operations. One transaction each; notices go out after the commit."""

    def __init__(self, database: Database, notices: Notices) -> None:
        self._database = database
        self._notices = notices

    async def routing(self, account_id: UUID) -> RoutingOptions:
        """The account's options. Raises `NotFound`."""
        async with transaction(self._database) as tx:
            options = await store.routing_of(tx, account_id)
        if options is None:
            raise _unknown_account()
        return options

    async def set_routing(self, account_id: UUID, options: RoutingOptions) -> None:
        """Replace the account's options and tell the gateways. Raises `NotFound`."""
        async with transaction(self._database) as tx:
            if not await store.put_routing(tx, account_id, options):
                raise _unknown_account()
            notice = await number_change(tx, account_id, None)
        await self._notices.send(notice)


def _unknown_account() -> NotFound:
    return NotFound("there is no such account", param="account_id")
