"""The accounts' API for the other services."""

from uuid import UUID

from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from aibridge_auth.accounts.service import Accounts
from aibridge_common.contracts.auth import SetAccountRouting
from aibridge_common.routing import RoutingOptions


class AccountController(Controller):
    """What may happen to the requests of an account."""

    path, tags = "/v1/accounts", ["accounts"]

    @get("/{account_id:uuid}/routing", operation_id="GetAccountRouting")
    async def routing(
        self, account_id: FromPath[UUID], accounts: NamedDependency[Accounts]
    ) -> RoutingOptions:
        """The account's options; the defaults where none were ever set."""
        return await accounts.routing(account_id)

    @put("/{account_id:uuid}/routing", operation_id="SetAccountRouting")
    async def set_routing(
        self,
        account_id: FromPath[UUID],
        data: JSONBody[SetAccountRouting],
        accounts: NamedDependency[Accounts],
    ) -> RoutingOptions:
        """Replace the account's options, within a second everywhere."""
        await accounts.set_routing(account_id, data.options)
        return data.options
