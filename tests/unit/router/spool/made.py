"""Records of exchanges that never were."""

from datetime import UTC, datetime
from uuid import UUID

from aibridge_common.events.usage import Outcome, UsageRecorded, UsageSource
from aibridge_common.usage import Usage
from aibridge_router.spool.records import Final, Progress, Start, encode, encode_event
from aibridge_router.spool.segment import frame

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACCOUNT, KEY, LEASE = UUID(int=11), UUID(int=12), UUID(int=13)


def start(number: int) -> Start:
    return Start(
        request_id=UUID(int=number),
        account_id=ACCOUNT,
        key_id=KEY,
        lease_id=LEASE,
        hold_microtokens=1000,
        requested_model="alias",
        model="planned",
        provider="openai",
        price_version=1,
        input_tokens_estimate=40,
        endpoint="openai_chat",
        stream=True,
        at=NOON,
    )


def progress(number: int, counted: int, usage: Usage | None = None) -> Progress:
    return Progress(
        request_id=UUID(int=number),
        model="billed",
        provider="anthropic",
        price_version=2,
        usage=usage,
        output_tokens_estimate=counted,
    )


def event(number: int, tokens: int = 1, model: str = "m") -> UsageRecorded:
    return UsageRecorded(
        event_id=UUID(int=number),
        account_id=ACCOUNT,
        key_id=KEY,
        lease_id=LEASE,
        requested_model=model,
        billed_model=model,
        provider="openai",
        price_version=1,
        usage=Usage(input=tokens),
        source=UsageSource.FINAL,
        outcome=Outcome.COMPLETED,
        occurred_at=NOON,
    )


def final(number: int, sequence: int) -> Final:
    return Final(request_id=UUID(int=number), sequence=sequence, event=encode_event(event(number)))


def written(*records: Start | Progress | Final) -> bytes:
    """A segment of these."""
    return b"".join(frame(encode(record)) for record in records)
