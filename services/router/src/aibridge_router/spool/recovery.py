"""What an earlier run left behind: which exchanges it did not end, and what each of them is charged. Pure."""

from collections.abc import Iterable, Iterator
from uuid import UUID

import msgspec
from msgspec import Struct

from aibridge_common.events.usage import Outcome, UsageRecorded, UsageSource
from aibridge_common.usage import Usage
from aibridge_router.spool.records import Final, Progress, Start, decode
from aibridge_router.spool.segment import SegmentName, scan
from aibridge_router.spool.state import SegmentFacts


class Unreadable(ValueError):
    """A whole record of a kind this version does not know: the version that wrote it must finish its work."""


class Torn(Struct, frozen=True, kw_only=True):
    """A segment whose end could not be read; what was in front of it counts."""

    name: SegmentName
    kept_bytes: int
    lost_bytes: int


class Unended(Struct, frozen=True, kw_only=True):
    """An exchange that its process did not live to end."""

    start: Start
    progress: Progress | None
    segment: SegmentFacts
    """Where its start stands."""

    @property
    def event(self) -> UsageRecorded | None:
        """Its charge: the reported input and the output that was counted; None when no content was passed on."""
        start, progress = self.start, self.progress
        if progress is None or progress.output_tokens_estimate <= 0:
            return None
        return UsageRecorded(
            event_id=start.request_id,
            account_id=start.account_id,
            key_id=start.key_id,
            lease_id=start.lease_id,
            requested_model=start.requested_model,
            billed_model=progress.model,
            provider=progress.provider,
            price_version=progress.price_version,
            usage=_usage(start, progress),
            source=UsageSource.ESTIMATED,
            outcome=Outcome.RECOVERED,
            occurred_at=start.at,
            endpoint=start.endpoint,
            stream=start.stream,
            own_key=start.own_key,
        )


class Left(Struct, frozen=True, kw_only=True):
    """Everything that earlier runs left."""

    segments: list[SegmentFacts]
    unended: list[Unended]
    torn: list[Torn]


def read_left(segments: Iterable[tuple[SegmentName, bytes]]) -> Left:
    """Read segments, oldest first. Raises `Unreadable`."""
    facts: list[SegmentFacts] = []
    torn: list[Torn] = []
    running: dict[UUID, Unended] = {}
    for name, data in segments:
        frames, kept_bytes = scan(data)
        if kept_bytes < len(data):
            torn.append(Torn(name=name, kept_bytes=kept_bytes, lost_bytes=len(data) - kept_bytes))
        segment = SegmentFacts(name=name, size_bytes=len(data))
        facts.append(segment)
        for record in _records(name, frames):
            if isinstance(record, Start):
                segment.open += 1
                running[record.request_id] = Unended(start=record, progress=None, segment=segment)
            elif isinstance(record, Final):
                if (ended := running.pop(record.request_id, None)) is not None:
                    ended.segment.open -= 1
                if record.sequence:
                    segment.first = segment.first or record.sequence
                    segment.last = record.sequence
            elif (begun := running.get(record.request_id)) is not None:
                running[record.request_id] = msgspec.structs.replace(begun, progress=record)
    return Left(segments=facts, unended=list(running.values()), torn=torn)


def _records(
    name: SegmentName, frames: list[tuple[int, bytes]]
) -> Iterator[Start | Progress | Final]:
    for end, record in frames:
        try:
            yield decode(record)
        except msgspec.DecodeError as error:
            raise Unreadable(f"{name.file_name}, before byte {end}: {error}") from error


def _usage(start: Start, progress: Progress) -> Usage:
    counted, reported = progress.output_tokens_estimate, progress.usage
    if reported is None:
        return Usage(input=start.input_tokens_estimate, output=counted)
    return msgspec.structs.replace(
        reported, output=max(reported.output, counted - reported.reasoning)
    )
