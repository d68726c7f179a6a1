"""What to watch of a router: its spool, and what runs."""

from aibridge_common.web.metrics import Measured
from aibridge_router.exchange.pump import Pumps
from aibridge_router.spool.spool import Spool


def measure(spool: Spool, pumps: Pumps) -> list[Measured]:
    """Numbers of this process."""
    counters, prefix = spool.counters, "aibridge_router"
    return [
        Measured(f"{prefix}_exchanges_running", "Requests that run", pumps.count),
        Measured(f"{prefix}_spool_size_bytes", "Usage on the disk", counters.size_bytes),
        Measured(
            f"{prefix}_usage_unapplied",
            "Charges that billing has not committed",
            counters.unapplied,
        ),
        Measured(
            f"{prefix}_usage_oldest_unapplied_seconds",
            "Age of the oldest of them",
            counters.oldest_unapplied_s,
        ),
        Measured(
            f"{prefix}_usage_sent_again",
            "Envelopes that the bus lost, or billing was slow to commit",
            counters.sent_again,
            "counter",
        ),
        Measured(
            f"{prefix}_exchanges_recovered",
            "Requests that the run before left unended",
            counters.recovered,
            "counter",
        ),
        Measured(
            f"{prefix}_spool_torn_bytes",
            "Unreadable ends of segments that were cut off",
            counters.torn_bytes,
            "counter",
        ),
    ]
