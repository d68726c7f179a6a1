"""What the vendor says it used, when a script makes it lie."""

import msgspec

from aibridge_sandbox.script import UsageFault
from aibridge_sandbox.world.usage import Usage

_HUGE = 10**12


def reports_of(truth: Usage, fault: UsageFault | dict[str, int] | None) -> tuple[Usage | None, ...]:
    """The usage reports to write at the end of the answer, in order; None leaves usage out."""
    if isinstance(fault, dict):
        return (msgspec.convert({**msgspec.structs.asdict(truth), **fault}, Usage),)
    if fault is None:
        return (truth,)
    half = msgspec.structs.replace(truth, output=truth.output // 2)
    lies: dict[UsageFault, tuple[Usage | None, ...]] = {
        "missing": (None,),
        "zero": (Usage(),),
        "negative": (Usage(input=-max(1, truth.prompt), output=-max(1, truth.generated)),),
        "huge": (Usage(input=_HUGE, output=_HUGE),),
        "duplicate": (truth, truth),
        "decreasing": (truth, half),
    }
    return lies[fault]
