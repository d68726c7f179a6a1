"""Where a run takes place: the product, its vendors, its ledger, and whoever reports."""

import random
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from aibridge_devstack.record import DevRecord
from tests.soak.asking import Mix
from tests.soak.load import Load
from tests.soak.vendors import Vendors


class Site(Struct, frozen=True, kw_only=True):
    """`say` takes a line of progress."""

    stack: DevRecord
    home: Path
    seed: int
    say: Callable[[str], None]

    @property
    def vendors(self) -> Vendors:
        """The stand-ins, seen anew."""
        return Vendors(self.stack.sandbox_url, self.home / "sandbox.jsonl")

    def load(self, *, quick: bool = False) -> Load:
        """Traffic of the demo account, the same for a seed."""
        mix = Mix(random.Random(self.seed), self.stack.demo_key, quick=quick)
        return Load(self.stack.base_url, mix, random.Random(self.seed + 1))
