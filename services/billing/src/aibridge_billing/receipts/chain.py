"""Check an export of receipts with nothing but the export: what each says of itself, and the chain between them.

Pure, and written from docs/reference/receipts.md, not from the SQL that makes receipts.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from msgspec import Struct

from aibridge_common.usage import Usage

KINDS = Usage.__struct_fields__
FIRST_PREVIOUS = "00" * 32
"""What the first receipt of an account follows."""

_HASHES = frozenset({"hash", "previous_hash"})


class Link(Struct, frozen=True, kw_only=True):
    """The last receipt known to be good: what a later export goes on from."""

    seq: int = 0
    hash: str = FIRST_PREVIOUS

    @classmethod
    def parse(cls, text: str) -> "Link":
        """`SEQ:HASH`, as `verify-receipts` prints it. Raises ValueError."""
        seq, _, digest = text.partition(":")
        if not _is_number(seq) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError("a link is SEQ:HASH, as verify-receipts printed it")
        return cls(seq=int(seq), hash=digest)

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class Misfit(Struct, frozen=True, kw_only=True):
    """The first row that does not fit."""

    row: int
    """Counted from 1."""
    name: str
    """Its event and number, as far as they can be read."""
    why: str

    def __str__(self) -> str:
        return f"row {self.row} ({self.name}): {self.why}"


class Verified(Struct, frozen=True, kw_only=True):
    """What came of an export."""

    receipts: int
    """How many fit, from the first on."""
    last: Link
    misfit: Misfit | None = None


class _DoesNotFitError(Exception):
    pass


def canonical(receipt: dict[str, Any]) -> bytes:
    """The bytes that are hashed: all but the hashes, keys sorted, no blanks, UTF-8."""
    document = {name: value for name, value in receipt.items() if name not in _HASHES}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def link_hash(receipt: dict[str, Any], previous_hash: str) -> str:
    """sha256 of the 32 bytes of the hash before and the canonical bytes."""
    return hashlib.sha256(bytes.fromhex(previous_hash) + canonical(receipt)).hexdigest()


def read_export(text: str) -> Iterator[object]:
    """The rows of an export: receipts, pages of them or a request's, one after the other, blanks or not between them.

    Raises ValueError for what is not JSON, has a key twice, or a number where receipts have strings.
    """
    decoder = json.JSONDecoder(
        object_pairs_hook=_without_repeats,
        parse_int=_no_number,
        parse_float=_no_number,
        parse_constant=_no_number,
    )
    at, length = 0, len(text)
    while True:
        while at < length and text[at].isspace():
            at += 1
        if at == length:
            return
        document, at = decoder.raw_decode(text, at)
        page = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
        yield from page["receipts"] if isinstance(page.get("receipts"), list) else [document]


def verify(rows: Iterable[object], after: Link | None = None) -> Verified:
    """Follow the chain from `after`, or from the beginning, to the first row that does not fit."""
    last, fit, account = after or Link(), 0, None
    source = iter(rows)
    while True:
        row: object = None
        try:
            row = next(source)
            receipt = _receipt(row)
            account = account or receipt["account_id"]
            _same("account_id", receipt["account_id"], account)
            _sums(receipt)
            last = _next_link(receipt, last)
        except StopIteration:
            return Verified(receipts=fit, last=last)
        except (_DoesNotFitError, ValueError, RecursionError) as error:
            misfit = Misfit(row=fit + 1, name=_name(row), why=str(error) or type(error).__name__)
            return Verified(receipts=fit, last=last, misfit=misfit)
        except (KeyError, TypeError, AttributeError) as error:
            misfit = Misfit(row=fit + 1, name=_name(row), why=f"not a receipt: {error}")
            return Verified(receipts=fit, last=last, misfit=misfit)
        fit += 1


def _receipt(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise _DoesNotFitError("not a receipt")
    return cast("dict[str, Any]", row)


def _sums(receipt: dict[str, Any]) -> None:
    """The charge by kind is usage times multiplier, its sum is the charge, and lots and debt paid it."""
    charged = 0
    for kind in KINDS:
        cost = _number(receipt["usage"][kind]) * _number(receipt["multipliers"][kind])
        _same(f"charge of {kind}", _number(receipt["charge"][kind]), cost)
        charged += cost
    _same("charge_microtokens", _number(receipt["charge_microtokens"]), charged)
    lots = sum(_number(lot["microtokens"]) for lot in receipt["lots"])
    _same("lots and debt", lots + _number(receipt["debt_microtokens"]), charged)


def _next_link(receipt: dict[str, Any], last: Link) -> Link:
    seq = _number(receipt["seq"])
    if seq != last.seq + 1:
        raise _DoesNotFitError(
            f"seq is {seq}, but {last.seq + 1} follows: rows are missing or moved"
        )
    _same("previous_hash", receipt["previous_hash"], last.hash)
    _same("hash", receipt["hash"], link_hash(receipt, last.hash))
    return Link(seq=seq, hash=receipt["hash"])


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise _DoesNotFitError(f"{what} is {found}, but {expected} follows from the rest")


def _number(text: str) -> int:
    if not _is_number(text):
        raise _DoesNotFitError(f"{text!r} is not a number as receipts write it")
    return int(text)


def _is_number(text: str) -> bool:
    return (
        text.isascii() and text.isdecimal() and len(text) < 40 and (text == "0" or text[0] != "0")
    )


def _name(row: object) -> str:
    receipt = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    return f"seq {receipt.get('seq', '?')}, event {receipt.get('event_id', '?')}"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return document


def _no_number(text: str) -> object:
    raise ValueError(f"{text[:40]} is a number; receipts have numbers as strings")
