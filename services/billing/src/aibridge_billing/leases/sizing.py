"""How much of a balance one worker gets: what it needs, and enough left for the others. Pure."""

from msgspec import Struct


class Offer(Struct, frozen=True):
    """What may be reserved; `one_request` for a hold, which a single request may use."""

    microtokens: int
    one_request: bool = False


def offer(want: int, least: int, free: int, workers: int) -> Offer | None:
    """A lease of `want`, but no more than leaves as much to each of `workers`; None when not even `least` is free.

    `least` is one request's hold. Where the free balance is less than one for every worker, leases would scatter it in
    pieces that fit no request: then it is given out request by request.
    """
    if free < least:
        return None
    if free < workers * least:
        return Offer(least, one_request=True)
    return Offer(max(least, min(want, free // (2 * workers))))
