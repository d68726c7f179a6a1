"""From when to when, as usage is looked up: event ids begin with their time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import Struct

from aibridge_common.errors import InvalidRequest

DEFAULT = timedelta(days=30)
LONGEST = timedelta(days=366)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_ANY_MS = (1 << 48) - 1


class Period(Struct, frozen=True):
    """The ids of what happened in it: from `first` on, below `end`."""

    first: UUID
    end: UUID


def period(since: datetime | None, until: datetime | None, now: datetime) -> Period:
    """The last 30 days where nothing is said. Raises `InvalidRequest` for one that is empty, or longer than a year.

    A request's id has the time it began, so that a request counts where it began.
    """
    ends = _utc(until) if until is not None else now + timedelta(days=1)
    begins = _utc(since) if since is not None else min(now, ends) - DEFAULT
    if begins >= ends:
        raise InvalidRequest("it ends before it begins", param="until")
    if ends - begins > LONGEST:
        raise InvalidRequest("a report is of at most 366 days", param="since")
    return Period(_id_at(begins), _id_at(ends))


def _id_at(at: datetime) -> UUID:
    milliseconds = min(max(0, (at - _EPOCH) // timedelta(milliseconds=1)), _AFTER_ANY_MS)
    return UUID(int=milliseconds << 80)


def _utc(at: datetime) -> datetime:
    """A time without a zone is meant in UTC."""
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
