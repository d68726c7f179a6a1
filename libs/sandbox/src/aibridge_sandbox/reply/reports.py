"""What the vendor says it used, when a script makes it lie."""

import msgspec

from aibridge_sandbox.script import UsageFault
from aibridge_sandbox.world.usage import Usage

_HUGE = 10**12


def reports_of(truth: Usage, fault: UsageFault | dict[str, int] | None) -> tuple[Usage | None, ...]:
    """The usage reports to write at the end of the answer, in order; None leaves usage out."""
    if isinstance(fault, dict):
        return (msgspec.convert({**msgspec.structs.asdict(truth), **fault}, Usage),)
    match fault:
        case None:
            return (truth,)
        case "missing":
            return (None,)
        case "zero":
            return (Usage(),)
        case "negative":
            return (Usage(input=-max(1, truth.prompt), output=-max(1, truth.generated)),)
        case "huge":
            return (Usage(input=_HUGE, output=_HUGE),)
        case "duplicate":
            return (truth, truth)
        case "decreasing":
            half = msgspec.structs.replace(truth, output=truth.output // 2)
            return (truth, half)
