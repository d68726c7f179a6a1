"""What one exchange has set aside, what the spool knows of it, and its charge: once, for each model that gave a part.

Every way an exchange can end goes through `settle` or `close`; neither leaves a hold or an open start behind.
"""

from uuid import UUID

from aibridge_common.clock import Clock
from aibridge_common.usage import Usage
from aibridge_router.credit.book import Hold
from aibridge_router.credit.estimate import worst_case_microtokens
from aibridge_router.credit.wallet import Wallets
from aibridge_router.exchange.asked import Asked
from aibridge_router.exchange.attempt import Attempt
from aibridge_router.exchange.carriage import CarriedStream
from aibridge_router.exchange.charge import Began, charge_for, input_estimate, leg_id
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.plan import Plan
from aibridge_router.exchange.settlement import Ending
from aibridge_router.spool.records import Progress, Start
from aibridge_router.spool.spool import Spool


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
        self._leg = 0
        """Which of several models that give one answer is at work."""
        self._noted = False
        """Whether the spool knows that this leg has begun."""

    @property
    def _leg_id(self) -> UUID:
        return leg_id(self._inbound.request_id, self._leg)

    async def afford(self, plan: Plan) -> None:
        """Have enough set aside for what this attempt may cost.

        Raises `InsufficientBalance`, or `Unavailable` when billing must be asked and is away; what was held stays.
        """
        target, model = plan.target, plan.target.model
        worst = worst_case_microtokens(
            self._asked.head,
            len(plan.body),
            model.context_tokens,
            model.max_output_tokens,
            target.card.multipliers,
        )
        if self._hold is not None and worst <= self._hold.amount_microtokens:
            return
        hold = await self._wallets.hold(self._inbound.account_id, worst)
        self._free()
        self._hold = hold

    def note_start(self, attempt: Attempt) -> None:
        """Before the first provider is asked: from here on this leg is charged even if this process dies.

        Raises `Unavailable` when the disk is full.
        """
        if self._noted:
            return
        hold, target = self._hold, attempt.step.target
        assert hold is not None, "nothing is sent without a hold"
        self._spool.start(
            Start(
                request_id=self._leg_id,
                account_id=self._inbound.account_id,
                key_id=self._inbound.key_id,
                lease_id=hold.lease_id,
                hold_microtokens=hold.amount_microtokens,
                requested_model=self._asked.head.model,
                model=target.model.id,
                provider=target.provider.name,
                price_version=target.card.version,
                input_tokens_estimate=input_estimate(attempt),
                endpoint=self._asked.dialect.value,
                stream=self._asked.head.stream,
                at=self._clock.now(),
            )
        )
        self._noted = True

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

    def settle(self, attempt: Attempt, ending: Ending, began: Began) -> Usage:
        """Charge what the attempt gave, once, and free the rest of the hold; what follows is another leg."""
        attempt.settled = True
        hold, self._hold = self._hold, None
        assert hold is not None, "nothing is sent without a hold"
        charge = charge_for(began, attempt, ending, hold, self._clock, leg=self._leg)
        sequence = 0
        if charge.event is None:
            self._end_noted()
        else:
            sequence = self._spool.final(charge.event)
            self._noted = False
        self._leg += 1
        self._wallets.finish(hold, charge.amount_microtokens, sequence)
        return charge.usage

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
