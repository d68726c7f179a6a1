"""Where in a body something is wrong. Readers of a part know only its inside; who walks the contents knows the rest."""

from aibridge_common.errors import InvalidRequest


class Misfit(Exception):
    """A member that does not fit; `path` is where it stands inside what was being read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def within(self, place: str) -> "Misfit":
        """The same, seen from one level up."""
        return Misfit(f"{place}.{self.path}" if self.path else place, self.reason)

    def refusal(self) -> InvalidRequest:
        """What the client is told."""
        return InvalidRequest(f"{self.path}: {self.reason}", param=self.path)
