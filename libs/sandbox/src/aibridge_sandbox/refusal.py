from typing import Any


class Refusal(Exception):  # a refusal is what the vendor says, not our failure
    """The vendor's no; each vendor renders it in its own envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str | None = None,
        param: str | None = None,
        code: str | None = None,
        details: list[Any] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        """The vendor's error type; None takes the usual one of the status."""
        self.param = param
        self.code = code
        self.details = details
        self.headers = headers
