"""A customer's own key: the attempt that is made with it, and what is said when it fails."""

from aibridge_common.catalog import Provider
from aibridge_common.errors import AIBridgeError, UpstreamFailed
from aibridge_router.catalog.registry import ChainOfTargets, OwnKey, UpstreamKey
from aibridge_router.exchange.attempt import AttemptFailed
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.walk import Step

_OF_THE_KEY = frozenset({Failure.CREDENTIAL, Failure.MONEY, Failure.ACCESS})


def step_with_own_key(chain: ChainOfTargets, key: OwnKey) -> Step | None:
    """The attempt at the model that was asked for; None where the key's provider does not host it."""
    for target in chain.hosts:
        if target.provider.name == key.provider:
            return Step(
                target=target,
                key=UpstreamKey(id=key.id, secret=key.secret),
                way=(target.provider.name, key.id, target.model.id),
                own=True,
            )
    return None


def words_for_own_key(failed: AttemptFailed, provider: Provider) -> AIBridgeError:
    """What a customer is told who wants nothing to follow."""
    if failed.failure in _OF_THE_KEY:
        return UpstreamFailed(
            f"{provider.title or provider.name} refused your own key; replace it, or let requests go on with tokens"
        )
    return failed.error
