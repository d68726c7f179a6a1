"""Ids of a converted answer, made from the request's id: the same answer has the same ids wherever it is written."""

import re

from aibridge_router.canonical.naming import fitting_id

_OWN_RESPONSE = re.compile(r"resp_[a-zA-Z0-9_-]+")
_OWN_CALL = re.compile(r"call_[a-zA-Z0-9_-]{1,59}")


class Ids:
    """Numbers the items of one answer."""

    def __init__(self, request_id: str) -> None:
        self._stem = request_id.removeprefix("req_")
        self._count = 0

    def response(self, source: str) -> str:
        """`source` where it is of this dialect's form."""
        return source if _OWN_RESPONSE.fullmatch(source) else f"resp_{self._stem}"

    def item(self, prefix: str) -> str:
        """The next item's id; `prefix` is `msg`, `rs`, `fc` or `ctc`."""
        number, self._count = self._count, self._count + 1
        return f"{prefix}_{self._stem}{number:02x}"


def call_id(source: str) -> str:
    """A call's id in this dialect's form; its result comes back with the same."""
    return fitting_id(source, _OWN_CALL, prefix="call_")
