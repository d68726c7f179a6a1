"""A database that is away or overloaded is a 503 that may be tried again, not a 500."""

from litestar.plugins.problem_details import ProblemDetailsException
from sqlalchemy.exc import DBAPIError

from aibridge_common.db.engine import is_away
from aibridge_common.errors import InvalidRequest, Unavailable
from aibridge_common.telemetry.log import get_logger
from aibridge_common.web.problems import Problems, problem_of, unforeseen

RETRY_AFTER_S = 2
_NOT_IN_REPERTOIRE = "22021"
"""SQLSTATE: a zero character, the one that PostgreSQL keeps in no text."""


def _from_database(error: DBAPIError) -> ProblemDetailsException:
    if is_away(error):
        return _away(error)
    if getattr(error.orig, "sqlstate", None) == _NOT_IN_REPERTOIRE:
        return problem_of(InvalidRequest("a text has a character that cannot be kept"))
    return unforeseen(error)


def _away(error: Exception) -> ProblemDetailsException:
    get_logger().warning("database.away", error=type(error).__name__)
    return problem_of(
        Unavailable("the database cannot be asked now; try again", retry_after_s=RETRY_AFTER_S)
    )


DATABASE_PROBLEMS: Problems = {DBAPIError: _from_database, OSError: _away, TimeoutError: _away}
"""For `problem_details` of a service that has a database. `TimeoutError` is what `transaction` raises."""
