"""What may happen to a request whose model cannot answer it: options of the account, its keys and each request."""

from msgspec import Struct


class RoutingOptions(Struct, frozen=True, kw_only=True):
    """Every option decided. The defaults are those of an account that never said anything."""

    failover: bool = True
    """Another model may answer."""
    continuation: bool = False
    """A text stream that was cut may be continued by another model."""
    larger_context: bool = False
    """A prompt that is too long may go to a model with a larger context."""


class KeyRouting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was said for one key; None is nothing said."""

    failover: bool | None = None
    continuation: bool | None = None
    larger_context: bool | None = None


DEFAULT = RoutingOptions()


def for_key(account: RoutingOptions, key: KeyRouting) -> RoutingOptions:
    """What a request with this key may ask for at most.

    Failover refused for the account stays refused. The two others are opt-ins, and what was said for the key counts
    before what was said for the account.
    """
    return RoutingOptions(
        failover=account.failover and key.failover is not False,
        continuation=account.continuation if key.continuation is None else key.continuation,
        larger_context=account.larger_context if key.larger_context is None else key.larger_context,
    )
