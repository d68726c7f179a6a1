"""The soak of `make soak`, in short: vendors flap, customers do not notice, the books fit to the microtoken."""

import asyncio

from tests.fixtures.trouble import Trouble
from tests.soak.flapping import flapping
from tests.soak.site import Site
from tests.soak.table import table

FOR_S = 40.0
SEED = 20261125


def test_no_customer_notices_a_flapping_vendor(trouble: Trouble) -> None:
    lines: list[str] = []
    site = Site(stack=trouble.record, home=trouble.home, seed=SEED, say=lines.append)

    figures = asyncio.run(flapping(site, FOR_S, rate_per_s=12.0))

    report = "\n".join([*lines, table(figures)])
    assert all(figure.met for figure in figures), report
