"""Who changed what, over HTTP, for every service that has the table (`db/audit.py`)."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from aibridge_common.contracts.audit import AuditPage
from aibridge_common.db.audit import audit_page
from aibridge_common.db.engine import Database, transaction


class AuditController(Controller):
    """Who changed what."""

    path, tags = "/v1/audit", ["audit"]

    @get(operation_id="ListAudit")
    async def list_audit(
        self,
        database: NamedDependency[Database],
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        cursor: FromQuery[UUID | None] = None,
    ) -> AuditPage:
        """What people and tools changed, newest first."""
        async with transaction(database) as tx:
            return await audit_page(tx, limit, cursor)
