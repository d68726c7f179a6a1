"""The ledger as a page of Python: no database, no locks, no journal. It says what the real one must show."""

from dataclasses import dataclass, field


@dataclass
class Lot:
    """What one paid order granted."""

    order: int
    granted: int
    consumed: int = 0
    refunded: int = 0
    given: bool = False
    """By an adjustment: there is no payment behind it."""

    @property
    def rest(self) -> int:
        return self.granted - self.consumed - self.refunded


@dataclass
class Reservation:
    """A hold or a lease; `remaining` is 0 once it is closed."""

    is_hold: bool
    amount: int
    remaining: int
    is_open: bool = True
    is_abandoned: bool = False


@dataclass
class RefundState:
    """`state` is "pending", "succeeded" or "failed"."""

    order: int
    utok: int
    money: int
    state: str = "pending"


@dataclass
class Wallet:
    """One account."""

    lots: dict[int, Lot] = field(default_factory=dict[int, Lot])
    reservations: dict[int, Reservation] = field(default_factory=dict[int, Reservation])
    debt: int = 0
    spent: int = 0
    charged_back: set[int] = field(default_factory=set[int])
    suspended: bool = False

    @property
    def posted(self) -> int:
        return sum(lot.rest for lot in self.lots.values())

    @property
    def reserved(self) -> int:
        return sum(each.remaining for each in self.reservations.values())

    @property
    def free(self) -> int:
        return self.posted - self.reserved

    def buy(self, order: int, utok: int) -> None:
        """A paid order; debt is paid first."""
        self.lots[order] = Lot(order, utok)
        self._pay_debt()

    def reserve(self, number: int, want: int, least: int, *, is_hold: bool) -> int | None:
        """Between `least` and `want`; the same number again is the same reservation."""
        if (known := self.reservations.get(number)) is not None:
            return known.amount if known.is_open else None
        granted = min(want, self.free)
        if self.debt or self.suspended or granted < max(least, 1):
            return None
        self.reservations[number] = Reservation(is_hold, granted, granted)
        return granted

    def settle(self, charges: list[tuple[int, int | None]]) -> None:
        """(amount, reservation) of events that were never settled before."""
        named: dict[int, int] = {}
        for amount, number in charges:
            if number is not None:
                named[number] = named.get(number, 0) + amount
        for number, amount in named.items():
            reservation = self.reservations.get(number)
            if reservation is None or not reservation.is_open:
                continue
            if reservation.is_hold:
                reservation.remaining, reservation.is_open = 0, False
            else:
                reservation.remaining = max(0, reservation.remaining - amount)
        total = sum(amount for amount, _ in charges)
        self.spent += total
        taken = min(total, self.free)
        self._consume(taken)
        self.debt += total - taken
        self._pay_debt()

    def extend(self, number: int, total: int, least: int) -> int | None:
        """Grow to `total` if the balance allows, or at least to `least`; what was granted altogether."""
        reservation = self.reservations.get(number)
        if reservation is None or not reservation.is_open or self.debt or self.suspended:
            return None
        more = max(0, min(total - reservation.amount, self.free))
        if reservation.amount + more < least:
            return None
        reservation.amount += more
        reservation.remaining += more
        reservation.is_abandoned = False
        return reservation.amount

    def release(self, number: int, keep: int, granted: int | None = None) -> int:
        """All but `keep` of what was `granted`; returns what was freed."""
        reservation = self.reservations.get(number)
        if reservation is None or not reservation.is_open:
            return 0
        if granted is not None:
            keep += max(0, reservation.amount - granted)
        before = reservation.remaining
        reservation.remaining = min(before, keep)
        reservation.is_open = keep > 0
        self._pay_debt()
        return before - reservation.remaining

    def refundable(self, order: int, want: int) -> int:
        """How much of an order can be refunded now."""
        return min(want, self.lots[order].rest, self.free)

    def unrefund(self, order: int, utok: int) -> None:
        """A refund failed: its tokens are back, unless their payment is gone."""
        if order in self.charged_back:
            return
        self.lots[order].refunded -= utok
        self._pay_debt()

    def charge_back(self, order: int) -> bool:
        """The payment is gone: what is unused and free goes, the rest is owed. Nothing new may be reserved."""
        lot = self.lots[order]
        if order in self.charged_back or lot.given:
            return False
        self.charged_back.add(order)
        self.suspended = True
        taken = min(lot.rest, self.free)
        self.debt += lot.granted - lot.refunded - taken
        lot.refunded += taken
        self._pay_debt()
        return True

    def adjust(self, utok: int, order: int | None) -> bool:
        """Tokens given are a lot of their own, tokens taken must be free."""
        if utok < 0:
            if self.free < -utok:
                return False
            self._consume(-utok)
            return True
        assert order is not None
        self.lots[order] = Lot(order, utok, given=True)
        self._pay_debt()
        return True

    def _consume(self, utok: int) -> None:
        for _, lot in sorted(self.lots.items()):
            part = min(lot.rest, utok)
            lot.consumed += part
            utok -= part
        assert utok == 0, "the reference itself is wrong"

    def _pay_debt(self) -> None:
        part = min(self.debt, self.free)
        self._consume(part)
        self.debt -= part
