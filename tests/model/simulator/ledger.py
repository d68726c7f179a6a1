"""Billing's database as plain Python: the SQL functions of the ledger, amount for amount, and its audit.

`test_simulation.py` compares it with `reference.py`, which the real ledger is compared with.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

LOT, REVENUE, CASH, REFUNDS, RECEIVABLE = "lot", "revenue", "cash", "refunds", "receivable"


@dataclass
class Lot:
    """What one paid order granted."""

    order: int
    granted: int
    consumed: int = 0
    refunded: int = 0

    @property
    def rest(self) -> int:
        return self.granted - self.consumed - self.refunded


@dataclass
class Reservation:
    """A lease. It is over when it is not open; `hard_expired` when billing ended it."""

    account: UUID
    amount: int
    remaining: int
    hard_expires_at_s: float
    is_open: bool = True
    hard_expired: bool = False


@dataclass
class Account:
    """The projection that the audit recomputes. `excess` is all debt there ever was."""

    posted: int = 0
    reserved: int = 0
    debt: int = 0
    spent: int = 0
    excess: int = 0
    lots: list[Lot] = field(default_factory=list[Lot])
    first_open: int = 0

    @property
    def free(self) -> int:
        return self.posted - self.reserved


@dataclass
class Charge:
    """One event and its price."""

    event: UUID
    account: UUID
    lease: UUID | None
    amount: int


Numbers = tuple[str, int, int, int]
"""Router, epoch, first, last."""


class Ledger:
    """Each method is one transaction."""

    def __init__(self) -> None:
        self.accounts: dict[UUID, Account] = {}
        self.leases: dict[UUID, Reservation] = {}
        self.open_leases: dict[UUID, Reservation] = {}
        self.usage: dict[UUID, Charge] = {}
        self.duplicates = 0
        self._applied: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self._journal: list[list[tuple[str, int, int]]] = []
        self._orders = 0

    # --- customers ----------------------------------------------------------------------------

    def buy(self, account_id: UUID, amount: int) -> int:
        """A paid order; debt is paid first."""
        self._orders += 1
        account = self.accounts.setdefault(account_id, Account())
        account.lots.append(Lot(self._orders, amount))
        account.posted += amount
        self._post((CASH, 0, amount), (LOT, self._orders, -amount))
        self._pay_debt(account)
        return self._orders

    def refund(self, account_id: UUID, number: int, want: int) -> int:
        """Unused tokens of an order leave."""
        account = self.accounts[account_id]
        lot = account.lots[number]
        amount = min(want, lot.rest, account.free)
        if amount <= 0:
            return 0
        lot.refunded += amount
        account.posted -= amount
        self._post((LOT, lot.order, amount), (REFUNDS, 0, -amount))
        return amount

    # --- leases -------------------------------------------------------------------------------

    def reserve(
        self, lease_id: UUID, account_id: UUID, want: int, least: int, hard_expires_at_s: float
    ) -> int | None:
        """Between `least` and `want`; the same id again is the same lease."""
        if (known := self.leases.get(lease_id)) is not None:
            return known.amount if known.is_open and known.account == account_id else None
        account = self.accounts[account_id]
        granted = min(want, account.free)
        if account.debt or granted < max(least, 1):
            return None
        lease = Reservation(account_id, granted, granted, hard_expires_at_s)
        self.leases[lease_id] = self.open_leases[lease_id] = lease
        account.reserved += granted
        return granted

    def extend(
        self, lease_id: UUID, account_id: UUID, total: int, least: int, hard_expires_at_s: float
    ) -> int | None:
        """Let a lease grow to `total`, or as far as the balance allows; what it was granted altogether."""
        account, lease = self.accounts[account_id], self.open_leases.get(lease_id)
        if lease is None or lease.account != account_id or account.debt:
            return None
        more = max(0, min(total - lease.amount, account.free))
        if lease.amount + more < least:
            return None
        lease.amount += more
        lease.remaining += more
        lease.hard_expires_at_s = max(lease.hard_expires_at_s, hard_expires_at_s)
        account.reserved += more
        return lease.amount

    def release(self, lease_id: UUID, keep: int, granted: int | None = None) -> int:
        """All but `keep` of what was `granted`; returns what was freed."""
        lease = self.open_leases.get(lease_id)
        if lease is None:
            return 0
        if granted is not None:
            keep += max(0, lease.amount - granted)
        account = self.accounts[lease.account]
        back = lease.remaining - min(lease.remaining, keep)
        lease.remaining -= back
        if keep == 0:
            lease.is_open = False
            del self.open_leases[lease_id]
        account.reserved -= back
        self._pay_debt(account)
        return back

    def sweep(self, now_s: float) -> list[UUID]:
        """Take back what holders that are gone for good left."""
        due = [key for key, lease in self.open_leases.items() if lease.hard_expires_at_s < now_s]
        for lease_id in due:
            self.leases[lease_id].hard_expired = True
            self.release(lease_id, 0)
        return due

    # --- settling -----------------------------------------------------------------------------

    def settle(self, charges: Iterable[Charge], numbers: Iterable[Numbers]) -> list[Charge]:
        """One batch with the numbers it covers, or nothing of it. Returns what was new."""
        fresh = self._charge(charges)
        self._note(numbers)
        return fresh

    def _charge(self, charges: Iterable[Charge]) -> list[Charge]:
        fresh: list[Charge] = []
        by_account: dict[UUID, list[Charge]] = {}
        for charge in charges:
            if charge.event in self.usage:
                self.duplicates += 1
                continue
            self.usage[charge.event] = charge
            fresh.append(charge)
            by_account.setdefault(charge.account, []).append(charge)
        for account_id, mine in by_account.items():
            self._settle_account(account_id, mine)
        return fresh

    def _settle_account(self, account_id: UUID, charges: list[Charge]) -> None:
        account = self.accounts[account_id]
        named: dict[UUID, int] = {}
        for charge in charges:
            if charge.lease is not None:
                named[charge.lease] = named.get(charge.lease, 0) + charge.amount
        own = 0
        for lease_id, amount in named.items():
            lease = self.open_leases.get(lease_id)
            if lease is not None and lease.account == account_id:
                part = min(lease.remaining, amount)
                lease.remaining -= part
                own += part
        total = sum(charge.amount for charge in charges)
        account.reserved -= own
        account.spent += total
        taken = min(total, account.free)
        excess = total - taken
        account.debt += excess
        account.excess += excess
        lines = [*self._take(account, taken), (REVENUE, 0, -total), (RECEIVABLE, 0, excess)]
        self._post(*lines)
        self._pay_debt(account)

    def _pay_debt(self, account: Account) -> None:
        part = min(account.debt, account.free)
        if part > 0:
            account.debt -= part
            self._post(*self._take(account, part), (RECEIVABLE, 0, -part))

    def _take(self, account: Account, amount: int) -> list[tuple[str, int, int]]:
        account.posted -= amount
        lines: list[tuple[str, int, int]] = []
        for lot in account.lots[account.first_open :]:
            part = min(lot.rest, amount)
            if part:
                lot.consumed += part
                amount -= part
                lines.append((LOT, lot.order, part))
            if not amount:
                break
            account.first_open += 1
        return lines

    def _post(self, *lines: tuple[str, int, int]) -> None:
        self._journal.append([line for line in lines if line[2]])

    # --- the watermark ------------------------------------------------------------------------

    def _note(self, numbers: Iterable[Numbers]) -> None:
        for router, epoch, first, last in numbers:
            found = self._applied.setdefault((router, epoch), [])
            found.append((first, last))
            if len(found) > 1:
                self._applied[router, epoch] = _merged(found)

    def ranges(self, router: str, epoch_min: int) -> dict[int, list[tuple[int, int]]]:
        """What of a router's runs is committed."""
        return {
            epoch: list(found)
            for (name, epoch), found in self._applied.items()
            if name == router and epoch >= epoch_min
        }

    # --- the audit ----------------------------------------------------------------------------

    def audit(self) -> list[str]:
        """Every broken invariant, by its number in the design."""
        broken = [f"I1 {lines}" for lines in self._journal if sum(each[2] for each in lines)]
        in_journal: dict[int, int] = {}
        for lines in self._journal:
            for kind, order, amount in lines:
                if kind == LOT:
                    in_journal[order] = in_journal.get(order, 0) - amount
        charged: dict[UUID, int] = {}
        for charge in self.usage.values():
            charged[charge.account] = charged.get(charge.account, 0) + charge.amount
        reserved: dict[UUID, int] = {}
        for lease in self.open_leases.values():
            reserved[lease.account] = reserved.get(lease.account, 0) + lease.remaining
        for key, account in self.accounts.items():
            lots = account.lots
            holds = {
                "I2": account.posted == sum(lot.rest for lot in lots),
                "I3": account.reserved == reserved.get(key, 0),
                "I4": account.spent == charged.get(key, 0),
                "I5": account.spent == sum(lot.consumed for lot in lots) + account.debt,
                "I6": all(lot.rest == in_journal.get(lot.order, 0) for lot in lots),
                "I7": all(lot.rest >= 0 and lot.refunded >= 0 for lot in lots),
                "I8": all(
                    not later.consumed or not lot.rest or lot.refunded
                    for lot, later in pairwise(lots)
                ),
                "I9": 0 <= account.reserved <= account.posted,
                "I10": not account.debt or not account.free,
            }
            broken += [f"{name} {account}" for name, well in holds.items() if not well]
        return broken


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    ranges.sort()
    merged = [ranges[0]]
    for first, last in ranges[1:]:
        if first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
