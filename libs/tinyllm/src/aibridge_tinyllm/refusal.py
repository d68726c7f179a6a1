import msgspec


class Refusal(Exception):  # what a client is told, not our failure
    """A no in OpenAI's error shape."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self._error = {"message": message, "type": kind, "param": param, "code": code}

    def body(self) -> bytes:
        """JSON."""
        return msgspec.json.encode({"error": self._error})
