"""The leases this worker holds: a pure account book. Requests are admitted from it without asking anyone.

For every open lease: what billing has set aside >= charges billing has not seen yet + holds of running requests + free.
"""

from collections import deque
from uuid import UUID

import msgspec
from msgspec import Struct

EXPIRY_MARGIN_S = 2.0
"""Admission ends this long before the lease does, counted from when the lease was asked for."""

BURN_S = 30.0
"""A lease is for this long, as it lives no longer."""
REQUESTS_MIN = 8
"""And for so many worst cases: what the first leaves of a lease for one fits no second."""


class HeldLease(Struct, kw_only=True):
    """A slice of balance and what is left of it."""

    lease_id: UUID
    account_id: UUID
    granted_microtokens: int
    """All that billing granted; of what it was asked for and did not answer, all that it may have."""
    expires_at_s: float
    free_microtokens: int
    in_flight_microtokens: int = 0
    unseen: deque[tuple[int, int]] = msgspec.field(default_factory=deque[tuple[int, int]])
    """Charges that billing is not known to have: their number in the spool, and microtokens."""
    unseen_microtokens: int = 0
    kept_microtokens: int | None = None
    """What billing was told to keep, the last time that something was given back."""
    owed: bool = False
    """Whether something was taken off what is free and billing has not confirmed that it has it."""

    def forget_seen(self, applied: int) -> None:
        """Drop the charges that billing has, which are those up to this number."""
        unseen = self.unseen
        while unseen and unseen[0][0] <= applied:
            self.unseen_microtokens -= unseen.popleft()[1]


class Hold(Struct, kw_only=True):
    """A part of a lease that one running request may spend. A stream's grows while it runs."""

    lease: HeldLease
    amount_microtokens: int

    @property
    def lease_id(self) -> UUID:
        """The lease that pays."""
        return self.lease.lease_id


class GiveBack(Struct, frozen=True):
    """What billing is to be told of a lease: how much to keep, of how much that was granted by then."""

    lease: HeldLease
    keep_microtokens: int
    granted_microtokens: int


class Burn(Struct):
    """What an account was charged lately, in two windows of `BURN_S`: the running one and the one before it."""

    since_s: float = 0.0
    now_microtokens: int = 0
    before_microtokens: int = 0

    def recent(self, now_s: float) -> int:
        """Microtokens of the busier window."""
        if now_s - self.since_s >= BURN_S:
            self.before_microtokens, self.now_microtokens = self.now_microtokens, 0
            self.since_s = now_s
        return max(self.now_microtokens, self.before_microtokens)


class LeaseBook:
    """Pure: takes the time and what happened, keeps the sums."""

    def __init__(self) -> None:
        self._by_account: dict[UUID, list[HeldLease]] = {}
        self._burn: dict[UUID, Burn] = {}
        self._applied = 0

    def applied(self, sequence: int) -> None:
        """Billing has committed every charge up to this number of this run; it never goes back."""
        self._applied = sequence

    def keep_microtokens(self, lease: HeldLease) -> int:
        """What must stay set aside if the rest is given back now."""
        lease.forget_seen(self._applied)
        return lease.in_flight_microtokens + lease.unseen_microtokens

    def add(self, lease: HeldLease) -> None:
        """Note a granted lease."""
        self._by_account.setdefault(lease.account_id, []).append(lease)
        self._burn.setdefault(lease.account_id, Burn())

    def add_for_one(self, now_s: float, lease: HeldLease) -> Hold:
        """Note what was granted to a single request, and admit that: nothing of it is ever free for another."""
        amount = lease.in_flight_microtokens = lease.granted_microtokens
        lease.free_microtokens = 0
        lease.expires_at_s = now_s
        self.add(lease)
        return Hold(lease=lease, amount_microtokens=amount)

    def admit(self, now_s: float, account_id: UUID, amount_microtokens: int) -> Hold | None:
        """Take `amount_microtokens` from a live lease of the account; None when no single one has that much."""
        for lease in self._by_account.get(account_id, ()):
            if lease.expires_at_s > now_s and lease.free_microtokens >= amount_microtokens:
                lease.free_microtokens -= amount_microtokens
                lease.in_flight_microtokens += amount_microtokens
                return Hold(lease=lease, amount_microtokens=amount_microtokens)
        return None

    def extend(self, now_s: float, hold: Hold, more_microtokens: int) -> bool:
        """Let a hold grow from what is free of its own lease, while that lives; whether there was enough."""
        lease = hold.lease
        if lease.expires_at_s <= now_s or lease.free_microtokens < more_microtokens:
            return False
        lease.free_microtokens -= more_microtokens
        self._add(hold, more_microtokens)
        return True

    def grown(self, hold: Hold, granted_microtokens: int) -> None:
        """Billing granted the hold's lease this much altogether: what is new is the hold's."""
        self._add(hold, self.may_have_grown(hold.lease, granted_microtokens))

    def may_have_grown(self, lease: HeldLease, granted_microtokens: int) -> int:
        """Billing was asked for this total and its answer is lost: what is new is nobody's, and given back in time.

        Returns how much that is.
        """
        more = max(0, granted_microtokens - lease.granted_microtokens)
        lease.granted_microtokens += more
        if lease.kept_microtokens is not None:
            lease.kept_microtokens += more
        return more

    def _add(self, hold: Hold, more_microtokens: int) -> None:
        hold.lease.in_flight_microtokens += more_microtokens
        hold.amount_microtokens += more_microtokens

    def finish(self, hold: Hold, charge_microtokens: int, sequence: int) -> None:
        """The request ended: what it did not cost is free again. A charge above the hold eats what is free.

        The charge stays covered until billing has committed `sequence`, its number in the spool.
        """
        lease = hold.lease
        lease.in_flight_microtokens -= hold.amount_microtokens
        lease.free_microtokens = max(
            0, lease.free_microtokens + hold.amount_microtokens - charge_microtokens
        )
        if charge_microtokens:
            burn = self._burn.get(lease.account_id)
            if burn is not None:
                burn.now_microtokens += charge_microtokens
            lease.forget_seen(self._applied)
            lease.unseen.append((sequence, charge_microtokens))
            lease.unseen_microtokens += charge_microtokens

    def runs_low(self, now_s: float, account_id: UUID, amount_microtokens: int) -> bool:
        """Whether the account should get a new lease before the next requests need it."""
        leases = [
            lease for lease in self._by_account.get(account_id, ()) if lease.expires_at_s > now_s
        ]
        free = sum(lease.free_microtokens for lease in leases)
        granted = sum(lease.granted_microtokens for lease in leases)
        return free < 2 * amount_microtokens or 2 * free < granted

    def next_lease_microtokens(
        self, now_s: float, account_id: UUID, amount: int, waiting: int = 0
    ) -> int:
        """How much to ask for: the recent burn, several requests' worth, or the sum of what waits."""
        burn = self._burn.get(account_id)
        recent = burn.recent(now_s) if burn is not None else 0
        return max(recent, REQUESTS_MIN * amount, waiting)

    def take_back(self, account_id: UUID) -> list[GiveBack]:
        """Admit no more from what is free of the account's leases; them, with what each must still keep.

        What becomes free later is there for requests again.
        """
        return [
            self._take(lease)
            for lease in self._by_account.get(account_id, ())
            if self._has_excess(lease)
        ]

    def take_due(self, now_s: float) -> list[GiveBack]:
        """The same for leases that ended, once more for those of which billing did not confirm it."""
        return [
            self._take(lease)
            for lease in self.all()
            if lease.owed or (lease.expires_at_s <= now_s and self._has_excess(lease))
        ]

    def take_all(self) -> list[GiveBack]:
        """The same for every lease."""
        return [self._take(lease) for lease in self.all()]

    def _has_excess(self, lease: HeldLease) -> bool:
        """Whether billing may have more set aside than is needed: a charge may have been seen since it was told."""
        kept = (
            lease.granted_microtokens if lease.kept_microtokens is None else lease.kept_microtokens
        )
        return lease.free_microtokens > 0 or self.keep_microtokens(lease) < kept

    def _take(self, lease: HeldLease) -> GiveBack:
        lease.free_microtokens, lease.owed = 0, True
        return GiveBack(lease, self.keep_microtokens(lease), lease.granted_microtokens)

    def all(self) -> list[HeldLease]:
        """Every lease that is not closed."""
        return [lease for leases in self._by_account.values() for lease in leases]

    def given_back(self, given: GiveBack) -> None:
        """Billing has it but for what it keeps. With nothing kept it is closed there, and forgotten here."""
        lease = given.lease
        lease.owed = False
        lease.kept_microtokens = (
            given.keep_microtokens + lease.granted_microtokens - given.granted_microtokens
        )
        if lease.kept_microtokens:
            return
        leases = self._by_account.get(lease.account_id, [])
        if lease not in leases:
            return
        leases.remove(lease)
        if not leases:
            del self._by_account[lease.account_id]
            self._burn.pop(lease.account_id, None)
