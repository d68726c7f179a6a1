"""The one screen at the end of a start."""

import json
from collections.abc import Sequence

from aibridge_devstack.llm import MODEL, PROVIDER
from aibridge_devstack.prepared import Prepared
from aibridge_devstack.record import DevRecord
from aibridge_devstack.vendors import Vendor


def screen(
    record: DevRecord,
    *,
    prepared: Prepared,
    vendors: Sequence[Vendor],
    model: str,
    took_s: float,
) -> str:
    """For a terminal of 80 columns, except where copying matters more."""
    real = model == MODEL
    question = "What is the capital of France?" if real else "Hello!"
    ask = {"model": model, "messages": [{"role": "user", "content": question}]}
    body = json.dumps(ask | {"stream": True} if real else ask)
    return "\n".join(
        [
            "",
            f"AI-Bridge runs at {record.base_url}   (ready in {took_s:.1f} s)",
            "",
            f"  Administrator   {record.admin_email}",
            f"  Password        {record.admin_password}",
            f"  Demo key        {record.demo_key}",
            f"  Demo balance    {_grouped(prepared.demo_balance_tokens)} tokens when it was seeded",
            "",
            "  Vendors",
            *(f"    {vendor.name:<14}{_who_answers(vendor)}" for vendor in vendors),
            "",
            "  Try it",
            f"    curl {'-N ' if real else ''}{record.base_url}/v1/chat/completions \\",
            f"      -H 'authorization: Bearer {record.demo_key}' \\",
            "      -H 'content-type: application/json' \\",
            f"      -d '{body}'",
            "",
            "Ctrl-C stops everything; the data stays.",
            "",
        ]
    )


def _who_answers(vendor: Vendor) -> str:
    if vendor.name == PROVIDER:
        return f"a real language model on this machine, {MODEL}"
    wanted = " or ".join(vendor.variables)
    match vendor.answers:
        case "real":
            return "real"
        case "sandbox":
            return f"stand-in (set {wanted} for the real one)"
        case "nobody":
            return f"no key (set {wanted})"


def _grouped(tokens: str) -> str:
    whole, point, fraction = tokens.partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole.isdecimal() else tokens
