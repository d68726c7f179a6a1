import hashlib
import itertools


class Identity:
    """Ids in each vendor's fashion; unique in one process, the same in every run of a script."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = itertools.count(1)

    def mint(self) -> str:
        """48 hexadecimal characters to cut ids from."""
        text = f"{self._seed}:{next(self._count)}"
        return hashlib.blake2b(text.encode(), digest_size=24).hexdigest()
