"""The end check: what the ledger charged beside what the vendors did and what the clients saw."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from tests.faults.history import illegal
from tests.faults.ledger import Ledger
from tests.soak.audit import FINAL, Charged, answered_whole, price, prices
from tests.soak.load import Done
from tests.soak.vendors import Call

INTERVAL_TOKENS = 60
"""A router that dies knows a stream up to its last progress, at most 50 chunks or 2 s ago; ten more for what the vendor
had sent and nobody read, and for the estimate of what was counted."""


class Bounds(Struct, frozen=True, kw_only=True):
    """What a row allows."""

    router_dies: bool = False
    output_tokens: int = INTERVAL_TOKENS
    """How far an estimate may be from the truth, and how much may go free, for one exchange whose router died."""
    dead_letters: int = 0


class Verdict(Struct, kw_only=True):
    """What does not fit, and how much does."""

    wrong: list[str]
    exact: int = 0
    """Charges equal to the vendor's own count at the catalogue's price, to the microtoken."""
    estimated: int = 0
    free: int = 0
    """Exchanges that died with their router before it knew how far they were; their clients got no whole answer."""
    output_off_max: int = 0
    """The worst estimate."""
    charged_microtokens: int = 0
    settled_s: float = 0.0
    """How long the end check took to be content."""


def judge(done: Sequence[Done], calls: Iterable[Call], ledger: Ledger, bounds: Bounds) -> Verdict:
    """Every call that a vendor served is charged once, nothing else is, and clients saw nothing illegal."""
    verdict = Verdict(wrong=[])
    seen = {one.request_id: one for one in done if one.request_id}
    truth: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        truth[call.request_id].append(call)
    for request_id in truth.keys() | ledger.charged.keys() | seen.keys():
        one, row = seen.get(request_id), ledger.charged.get(request_id)
        misfits = _misfits(one, truth[request_id], row, bounds, verdict)
        verdict.wrong += [f"{request_id}: {misfit}" for misfit in misfits]
    for one in done:
        verdict.wrong += [f"{one.request_id or one.ask.dialect}: {each}" for each in illegal(one)]
    verdict.charged_microtokens = sum(row.charge_microtokens for row in ledger.charged.values())
    verdict.wrong += _of_the_whole(ledger, bounds, verdict)
    return verdict


def _of_the_whole(ledger: Ledger, bounds: Bounds, verdict: Verdict) -> list[str]:
    found = [f"the ledger: {violation}" for violation in ledger.violations]
    found += [f"lease {lease}: more was charged than it had" for lease in ledger.over_lease]
    pairs = {
        "dead letters": (ledger.dead_letters, bounds.dead_letters),
        "charges of others": (ledger.strangers, 0),
        "debt": (ledger.debt_microtokens, 0),
        "spent and the sum of charges": (ledger.spent_microtokens, verdict.charged_microtokens),
    }
    return found + [f"{name}: {a} is not {b}" for name, (a, b) in pairs.items() if a != b]


def _misfits(
    one: Done | None, calls: list[Call], row: Charged | None, bounds: Bounds, verdict: Verdict
) -> list[str]:
    served = one is not None and one.served and not one.answer.left
    billed = [call for call in calls if call.status == 200 and call.usage.output]
    if row is None:
        return _not_charged(billed, bounds, verdict, served=served)
    if not billed:
        return ["charged, and no vendor served it"]
    if len(billed) > 1:
        return [f"{len(billed)} vendors served it"]
    [call] = billed
    pairs: dict[str, tuple[object, object]] = {
        "billed model": (row.billed_model, call.model),
        "provider": (row.provider, call.vendor),
        "charge": (row.charge_microtokens, price(prices(), call.model, row.usage)),
    }
    if one is not None and (named := one.answer.headers.get("x-aibridge-model")):
        pairs["the model named to the client"] = (named, row.billed_model)
    if row.source == FINAL:
        pairs["usage"] = (row.usage, call.usage)
        verdict.exact += 1
    found = [f"{name}: {a} is not {b}" for name, (a, b) in pairs.items() if a != b]
    if row.source != FINAL:
        found += _estimate(one, call, row, bounds, verdict, served=served)
    return found


def _not_charged(
    billed: list[Call], bounds: Bounds, verdict: Verdict, *, served: bool
) -> list[str]:
    if served:
        return ["the client got its answer, and it is not charged"]
    if not billed:
        return []
    worst = max(call.usage.output for call in billed)
    # A whole answer that was not streamed has no progress; its client got nothing of it.
    small = worst <= bounds.output_tokens or all(answered_whole(call) for call in billed)
    if bounds.router_dies and small:
        verdict.free += 1
        return []
    return [f"{billed[-1].vendor} served {worst} tokens, and it is not charged"]


def _estimate(
    one: Done | None,
    call: Call,
    row: Charged,
    bounds: Bounds,
    verdict: Verdict,
    *,
    served: bool,
) -> list[str]:
    if served and row.usage != call.usage:
        return [f"the client got its answer, and {row.usage} is not {call.usage}"]
    left = one is not None and one.answer.left
    if not bounds.router_dies and not left:
        return ["the charge is an estimate"]
    verdict.estimated += 1
    off = abs(row.usage.output + row.usage.reasoning - call.usage.output - call.usage.reasoning)
    verdict.output_off_max = max(verdict.output_off_max, off)
    found = [f"the estimate is {off} tokens off"] if off > bounds.output_tokens else []
    if one is not None and row.usage.input > max(call.usage.input, len(one.ask.body)):
        found.append(f"{row.usage.input} tokens of input in {len(one.ask.body)} bytes")
    return found
