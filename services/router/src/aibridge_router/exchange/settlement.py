"""What an exchange costs, for every way it can end. One row a way; nothing else decides a charge.

how it ended                              | charged                                        | source
------------------------------------------|------------------------------------------------|------------------
complete, usage reported                  | what was reported                              | final
complete, no usage reported               | estimate of what went in and came out          | estimated
cut, or client gone, usage final          | what was reported                              | final
cut, client gone, hold spent, after cont. | reported input, the larger output of reported  | partial, or
                                          | and passed on                                  | estimated
client gone, before content               | reported input, or nothing                     | partial or none
cut, error event or timeout before content| nothing: the vendor gave nothing               | none
no answer, refusal, nonsense              | nothing                                        | none
"""

import msgspec
from msgspec import Struct

from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.usage import Usage


class Ending(Struct, frozen=True, kw_only=True):
    """How an exchange ended, as far as money is concerned."""

    outcome: Outcome
    reported: Usage | None = None
    reported_is_final: bool = False
    delivered_tokens: int = 0
    """Estimate of the answer that was passed on; 0 before the first content."""
    input_estimate: int = 0


class Settlement(Struct, frozen=True, kw_only=True):
    """What to charge; `usage` None means that nothing is charged and nothing is recorded."""

    usage: Usage | None
    source: UsageSource


_VENDORS_FAULT = frozenset({Outcome.UPSTREAM_CUT, Outcome.UPSTREAM_ERROR})
_NOTHING = Settlement(usage=None, source=UsageSource.NONE)


def settle(ending: Ending) -> Settlement:
    """The row of the table above that fits."""
    reported = ending.reported
    if reported is not None and ending.reported_is_final:
        return Settlement(usage=reported, source=UsageSource.FINAL)
    if ending.outcome in _VENDORS_FAULT and ending.delivered_tokens == 0:
        return _NOTHING
    if reported is not None:
        answered = max(reported.output, ending.delivered_tokens - reported.reasoning)
        source = UsageSource.PARTIAL if answered == reported.output else UsageSource.ESTIMATED
        if ending.delivered_tokens == 0:  # a vendor's first event says 1 where nothing was answered
            answered, source = 0, UsageSource.PARTIAL
        return Settlement(usage=msgspec.structs.replace(reported, output=answered), source=source)
    if ending.delivered_tokens == 0 and ending.outcome is not Outcome.COMPLETED:
        return _NOTHING
    return Settlement(
        usage=Usage(input=ending.input_estimate, output=ending.delivered_tokens),
        source=UsageSource.ESTIMATED,
    )
