"""What follows from each class of failure: where the walk goes on, and whose health it counts against. Data."""

from enum import Enum

from msgspec import Struct

from aibridge_router.failover.failure import Failure


class Then(Enum):
    """Where a request goes on."""

    STOP = "stop"
    """The client gets this failure."""
    RETRY = "retry"
    """Once more the same, if the provider's retry budget and the deadline allow; else another target."""
    NEXT_KEY = "next key"
    """The same target with another of our keys; else another target."""
    NEXT_TARGET = "next target"
    """Another target; this one is not asked again."""
    NEXT_PROVIDER = "next provider"
    """Another provider; nothing at this one is asked again."""
    LARGER_CONTEXT = "larger context"
    """Only a target whose context is larger, and only where the customer chose that; else the client gets this."""
    NEXT_EGRESS = "next egress"
    """The same through another way out; else another provider."""


class Blame(Enum):
    """Whose health a failure counts against."""

    NOBODY = "nobody"
    WAY = "way"
    """This key at this provider for this model: its breaker."""
    WAY_AT_ONCE = "way at once"
    """The same, and one is enough to open it: the next request must not pay for it again."""
    MODEL = "model"
    """This model at this provider is gone with all our keys: ejected for a while."""
    ACCESS = "access"
    """This key for this model: ejected for a while."""
    KEY = "key"
    """This key, whatever the model: ejected for a while."""
    KEY_COOLS = "key cools"
    """This key until the vendor's own `Retry-After` is over."""
    EGRESS = "egress"
    """The way out; `upstream.egress` decides which."""


class Reaction(Struct, frozen=True):
    """What follows."""

    then: Then
    blame: Blame


REACTIONS: dict[Failure, Reaction] = {
    Failure.CALLER: Reaction(Then.STOP, Blame.NOBODY),
    Failure.REFUSED: Reaction(Then.STOP, Blame.NOBODY),
    Failure.OVERFLOW: Reaction(Then.LARGER_CONTEXT, Blame.NOBODY),
    Failure.CREDENTIAL: Reaction(Then.NEXT_KEY, Blame.KEY),
    Failure.MONEY: Reaction(Then.NEXT_KEY, Blame.KEY),
    Failure.ACCESS: Reaction(Then.NEXT_KEY, Blame.ACCESS),
    Failure.RATE_LIMIT: Reaction(Then.NEXT_KEY, Blame.KEY_COOLS),
    Failure.MODEL_GONE: Reaction(Then.NEXT_TARGET, Blame.MODEL),
    Failure.REGION: Reaction(Then.NEXT_EGRESS, Blame.EGRESS),
    Failure.TRANSIENT: Reaction(Then.RETRY, Blame.WAY),
    Failure.MALFORMED: Reaction(Then.NEXT_TARGET, Blame.WAY),
    Failure.DROPPED: Reaction(Then.NEXT_TARGET, Blame.WAY),
    Failure.SILENT: Reaction(Then.NEXT_PROVIDER, Blame.WAY_AT_ONCE),
    Failure.UNREACHABLE: Reaction(Then.NEXT_PROVIDER, Blame.WAY_AT_ONCE),
    Failure.EGRESS: Reaction(Then.NEXT_EGRESS, Blame.EGRESS),
}
