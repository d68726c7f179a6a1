"""What one exchange has set aside, what the spool knows of it, and its charge: once, for each model that gave a part.

Every way an exchange can end goes through `settle` or `close`; neither leaves a hold or an open start behind.
"""

from uuid import UUID

from aibridge_common.clock import Clock
from aibridge_common.errors import InsufficientBalance, Unavailable
from aibridge_router.credit.book import Hold
from aibridge_router.credit.estimate import SLICE_TOKENS, Need, need_of
from aibridge_router.credit.wallet import Wallets
from aibridge_router.exchange.asked import Asked
from aibridge_router.exchange.attempt import Attempt
from aibridge_router.exchange.carriage import CarriedStream
from aibridge_router.exchange.charge import Began, Charge, charge_for, input_estimate, leg_id
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.plan import Plan
from aibridge_router.exchange.settlement import Ending
from aibridge_router.spool.records import Progress, Start
from aibridge_router.spool.spool import Spool

EXTENSION_TOKENS_MIN = 64
"""Less than that is not worth asking for."""

_NEVER = 1 << 60


class Bill:
    """See the module."""

    def __init__(
        self, wallets: Wallets, spool: Spool, clock: Clock, inbound: Inbound, asked: Asked
    ) -> None:
        self._wallets = wallets
        self._spool = spool
        self._clock = clock
        self._inbound = inbound
        self._asked = asked
        self._hold: Hold | None = None
        self._need: Need | None = None
        self.look_again_tokens = 0
        """At how much output of a stream, as it is estimated, `cover` is to be called."""
        self._leg = 0
        """Which of several models that give one answer is at work."""
        self._noted = False
        """Whether the spool knows that this leg has begun."""

    @property
    def _leg_id(self) -> UUID:
        return leg_id(self._inbound.request_id, self._leg)

    async def afford(self, plan: Plan) -> int | None:
        """Have enough set aside for this attempt to begin.

        Of an answer that comes at once that is all it may cost, or what the balance covers of it: then the most tokens
        that it may have are returned, and it must be sent with them. A stream's hold grows by `cover`.

        Raises `InsufficientBalance`, or `Unavailable` when billing must be asked and is away; what was held stays.
        """
        target, head = plan.target, self._asked.head
        rates, sliced = target.card.multipliers, head.stream
        need = need_of(head, len(plan.body), target.model, rates, sliced=sliced)
        most, least = need.most_microtokens, need.least_microtokens
        hold = self._hold
        if hold is None:
            hold = self._hold = await self._hold_for(most, least)
        elif hold.amount_microtokens < most:
            held = hold.amount_microtokens
            await self._wallets.extend(hold, most - held, max(1, least - held))
        self._need, self.look_again_tokens = need, 0
        if sliced or hold.amount_microtokens >= most:
            return None
        return need.covered_tokens(hold.amount_microtokens) // head.choices

    async def _hold_for(self, most_microtokens: int, least_microtokens: int) -> Hold:
        account_id = self._inbound.account_id
        try:
            return await self._wallets.hold(account_id, most_microtokens)
        except InsufficientBalance:
            if least_microtokens == most_microtokens:
                raise
        return await self._wallets.hold_what_is_there(
            account_id, least_microtokens, most_microtokens
        )

    async def cover(self, tap: CarriedStream) -> None:
        """Hold another slice once half of the last one is used; to be called at `look_again_tokens` of output.

        Raises `InsufficientBalance` or `Unavailable` when all that is held is used and no more is to be had.
        """
        hold, need = self._hold, self._need
        assert hold is not None, "nothing is sent without a hold"
        assert need is not None, "a hold was for something"
        passed = passed_tokens(tap)
        covered = need.covered_tokens(hold.amount_microtokens, tap.usage)
        due = covered - SLICE_TOKENS // 2
        if covered >= need.output_tokens:
            due = _NEVER
        elif passed >= due:
            more = min(SLICE_TOKENS, need.output_tokens - covered)
            whole = await self._extend(hold, need, more, is_needed=passed >= covered)
            due = need.covered_tokens(hold.amount_microtokens, tap.usage)
            if whole:
                due -= SLICE_TOKENS // 2
        self.look_again_tokens = max(tap.output_estimate + 1, due * 3 // 4)

    async def _extend(self, hold: Hold, need: Need, tokens: int, *, is_needed: bool) -> bool:
        """Whether all of it was granted. Raises what refuses it when nothing goes on without."""
        before = hold.amount_microtokens
        more = need.output_microtokens(tokens)
        least = need.output_microtokens(min(tokens, EXTENSION_TOKENS_MIN))
        try:
            await self._wallets.extend(hold, more, least)
        except (InsufficientBalance, Unavailable):
            if is_needed:
                raise
        return hold.amount_microtokens >= before + more

    def note_start(self, attempt: Attempt) -> None:
        """Before the first provider is asked: from here on this leg is charged even if this process dies.

        With a customer's own key nothing is held, and what is noted is only counted. Raises `Unavailable` when the
        disk is full.
        """
        if self._noted:
            return
        hold, target, own = self._hold, attempt.step.target, attempt.step.own
        assert own or hold is not None, "nothing is sent without a hold"
        if own:
            self.look_again_tokens = _NEVER
            if not self._spool.has_room:
                return  # it is served all the same, and not counted
        self._spool.start(
            Start(
                request_id=self._leg_id,
                account_id=self._inbound.account_id,
                key_id=self._inbound.key_id,
                lease_id=hold.lease_id if hold is not None else None,
                hold_microtokens=hold.amount_microtokens if hold is not None else 0,
                requested_model=self._asked.head.model,
                model=target.model.id,
                provider=target.provider.name,
                price_version=target.card.version,
                input_tokens_estimate=input_estimate(attempt),
                endpoint=self._asked.dialect.value,
                stream=self._asked.head.stream,
                at=self._clock.now(),
                own_key=own,
            )
        )
        self._noted = True

    def own_key_failed(self) -> None:
        """What follows is asked with other keys, and noted anew."""
        self._end_noted()

    def note_progress(self, attempt: Attempt, tap: CarriedStream) -> None:
        """How much of a stream has passed."""
        target, usage = attempt.step.target, tap.usage
        counted = tap.output_estimate
        if usage is not None and tap.usage_is_final:
            counted = usage.output + usage.reasoning or counted
        self._spool.progress(
            Progress(
                request_id=self._leg_id,
                model=target.model.id,
                provider=target.provider.name,
                price_version=target.card.version,
                usage=usage,
                output_tokens_estimate=counted,
            )
        )

    def note_end(self, attempt: Attempt, tap: CarriedStream) -> None:
        """Before the client has the last piece: should this process die now, the whole answer is charged."""
        self.note_progress(attempt, tap)
        self._spool.flush()

    def settle(self, attempt: Attempt, ending: Ending, began: Began) -> Charge:
        """Charge what the attempt gave, once, and free the rest of the hold; what follows is another leg."""
        attempt.settled = True
        hold, self._hold = self._hold, None
        charge = charge_for(began, attempt, ending, hold, self._clock, leg=self._leg)
        sequence = 0
        if charge.event is None or not self._noted:
            self._end_noted()
        else:
            sequence = self._spool.final(charge.event)
            self._noted = False
        self._leg += 1
        if hold is not None:
            self._wallets.finish(hold, charge.amount_microtokens, sequence)
        return charge

    def write(self) -> None:
        """Let what was noted outlive this process: a client must not have its whole answer before."""
        self._spool.flush()

    def close(self) -> None:
        """Nothing more comes: what is still open was for nothing."""
        self._end_noted()
        self._free()

    def _end_noted(self) -> None:
        if self._noted:
            self._spool.nothing(self._leg_id)
            self._noted = False

    def _free(self) -> None:
        if self._hold is not None:
            self._wallets.finish(self._hold, 0, 0)
            self._hold = None


def passed_tokens(tap: CarriedStream) -> int:
    """Output that has passed, rather too much than too little: code has less than four bytes to a token."""
    reported = tap.usage.output + tap.usage.reasoning if tap.usage is not None else 0
    return max(reported, tap.output_estimate * 4 // 3)
