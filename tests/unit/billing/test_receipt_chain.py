"""Whoever has an export can check it alone, and any change to any field of any row is found and named."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_billing.receipts.chain import FIRST_PREVIOUS, Link, read_export, verify

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "receipts.md"
KINDS = ("cache_read", "cache_write_1h", "cache_write_5m", "input", "output", "reasoning")


def receipt(seq: int, previous: str) -> dict[str, Any]:
    """Made from the words of docs/reference/receipts.md, with none of our own code."""
    usage = {kind: str(seq * (number + 1)) for number, kind in enumerate(KINDS)}
    charge = {kind: str(int(count) * 5) for kind, count in usage.items()}
    total = sum(map(int, charge.values()))
    row: dict[str, Any] = {
        "account_id": "01900000-0000-7000-8000-000000000001",
        "seq": str(seq),
        "request_id": f"req_{seq:032x}",
        "event_id": f"00000000-0000-0000-0000-{seq:012x}",
        "occurred_at": "2026-01-01T12:00:00.000000Z",
        "endpoint": "openai_chat",
        "stream": True,
        "key_id": None,
        "requested_model": "große Modelle \u2028",
        "billed_model": "gpt-4o",
        "provider": "openai",
        "attempts": [
            {"model": "m", "provider": "p", "ended": "answered", "took_ms": "12", "own_key": False}
        ],
        "reported": ['{"prompt_tokens": 10.0}'],
        "usage": usage,
        "usage_source": "final",
        "outcome": "completed",
        "price_version": "1",
        "multipliers": dict.fromkeys(KINDS, "5"),
        "charge": charge,
        "charge_microtokens": str(total),
        "lots": [{"order_no": "A-1", "microtokens": str(total - 1)}],
        "debt_microtokens": "1",
        "first_content_ms": "3",
        "total_ms": "4",
    }
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest()
    return row | {"previous_hash": previous, "hash": digest}


def chain(length: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for seq in range(1, length + 1):
        rows.append(receipt(seq, rows[-1]["hash"] if rows else FIRST_PREVIOUS))
    return rows


ROWS = chain(5)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value that is no object and no list."""
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else None
    )
    if pairs is None:
        return [path]
    return [place for key, inner in pairs for place in places(inner, (*path, key))]


def changed(rows: list[dict[str, Any]], number: int, place: tuple[Any, ...], value: Any) -> Any:
    rows = copy.deepcopy(rows)
    inner: Any = rows[number]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return rows


def test_what_was_not_touched_fits() -> None:
    found = verify(ROWS)

    assert (found.receipts, found.misfit) == (5, None)
    assert str(found.last) == f"5:{ROWS[-1]['hash']}"


def test_the_example_of_the_reference_is_what_the_check_computes() -> None:
    """Whoever writes a verifier compares with it."""
    page = REFERENCE.read_text(encoding="utf-8")
    example = page.split("```json\n")[1].split("\n```")[0]
    document = page.split("```text\n")[1].split("\n```")[0]

    found = verify(read_export(example))

    assert found.misfit is None
    assert found.last.hash == hashlib.sha256(bytes(32) + document.encode()).hexdigest()


@given(
    number=st.integers(0, 4),
    place=st.sampled_from(places(ROWS[0])),
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.text(max_size=5),
        st.integers(0, 999).map(str),
        st.lists(st.none()),
    ),
)
def test_any_field_of_any_row_that_is_changed_is_found_and_named(
    number: int, place: tuple[Any, ...], value: Any
) -> None:
    rows = changed(ROWS, number, place, value)
    if rows == ROWS:
        return

    found = verify(rows)

    assert found.misfit is not None
    assert found.misfit.row == number + 1
    assert found.receipts == number


@given(number=st.integers(0, 4), place=st.sampled_from(places(ROWS[0])))
def test_a_change_with_a_hash_made_to_fit_breaks_the_row_after_it(
    number: int, place: tuple[Any, ...]
) -> None:
    """The first row that is wrong, by its sums or by the chain, is at most the next one."""
    if place[0] in {"hash", "previous_hash"}:
        return
    rows = changed(ROWS, number, place, "7")
    previous = rows[number]["previous_hash"]
    rows[number]["hash"] = hashlib.sha256(bytes.fromhex(previous) + _text(rows[number])).hexdigest()
    if rows == ROWS:
        return

    found = verify(rows)

    last = number == len(rows) - 1
    assert found.misfit is None or found.misfit.row in {number + 1, number + 2}
    assert found.misfit is not None or (last and str(found.last) != f"5:{ROWS[-1]['hash']}")


@given(number=st.integers(0, 3))
def test_a_row_that_is_gone_is_found(number: int) -> None:
    found = verify(ROWS[:number] + ROWS[number + 1 :])

    assert found.misfit is not None
    assert found.misfit.row == number + 1
    assert "rows are missing or moved" in found.misfit.why


@given(st.permutations(range(5)))
def test_another_order_is_found(order: list[int]) -> None:
    found = verify([ROWS[number] for number in order])

    assert (found.misfit is None) == (order == sorted(order))


def test_a_row_that_stands_twice_is_found() -> None:
    assert verify([*ROWS[:2], ROWS[1]]).misfit is not None


def test_rows_that_are_gone_at_the_end_show_by_the_last_link() -> None:
    """No chain can say what was cut off its end; whoever kept the link sees it."""
    assert verify(ROWS[:3]).last != verify(ROWS).last


def test_a_later_export_goes_on_from_the_link_of_an_earlier_one() -> None:
    link = verify(ROWS[:2]).last

    assert verify(ROWS[2:], Link.parse(str(link))).last == verify(ROWS).last
    assert verify(ROWS[2:]).misfit is not None
    assert verify(ROWS[2:], Link(seq=2, hash="0" * 64)).misfit is not None


@pytest.mark.parametrize(
    "text", ["", "5", "5:", "x:" + "0" * 64, "05:" + "0" * 64, "5:" + "G" * 64]
)
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SEQ:HASH"):
        Link.parse(text)


@pytest.mark.parametrize(
    "rows", [[[]], [None], ["x"], [{}], [{"account_id": "a"}], [ROWS[0] | {"usage": None}]]
)
def test_what_is_no_receipt_is_named_and_never_a_crash(rows: list[Any]) -> None:
    found = verify(rows)

    assert found.misfit is not None
    assert found.misfit.row == 1


class TestExport:
    @pytest.mark.parametrize(
        "text",
        [
            "\n".join(json.dumps(row) for row in ROWS),
            "".join(json.dumps(row, indent=2) for row in ROWS),
            json.dumps({"receipts": ROWS[:2], "next": "2"}) + json.dumps({"receipts": ROWS[2:]}),
        ],
    )
    def test_lines_and_pages_are_read_alike(self, text: str) -> None:
        assert verify(read_export(text)).last == verify(ROWS).last

    def test_nothing_is_nothing(self) -> None:
        assert verify(read_export(" \n")).receipts == 0

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ('{"seq": "1", "seq": "2"}', "stands twice"),
            ('{"seq": 1}', "is a number"),
            ('{"seq": 1.5}', "is a number"),
            ('{"seq": NaN}', "is a number"),
            ("{", "Expecting"),
            ("[" * 100_000, ""),
        ],
    )
    def test_what_can_be_read_in_two_ways_is_refused(self, text: str, why: str) -> None:
        found = verify(read_export(json.dumps(ROWS[0]) + text))

        assert found.receipts == 1
        assert found.misfit is not None
        assert found.misfit.row == 2
        assert why in found.misfit.why


def _text(row: dict[str, Any]) -> bytes:
    document = {key: value for key, value in row.items() if key not in {"hash", "previous_hash"}}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
