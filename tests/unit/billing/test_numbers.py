"""An order number survives being read aloud, and a typing mistake does not."""

import re

import pytest

from aibridge_billing.orders.numbers import new_number, read_number
from aibridge_common.errors import InvalidRequest

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
NUMBERS = (
    "AB-C6EP-34WS",
    "AB-K5DM-3ZJJ",
    "AB-834F-F498",
    "AB-4KF3-WM5Y",
    "AB-9PPM-3MMH",
    "AB-E393-KX66",
    "AB-BF6K-5MBR",
    "AB-KWQ7-5MMZ",
    "AB-P8D5-KR4Z",
    "AB-M3N8-HQKM",
)


def test_no_character_looks_like_another() -> None:
    drawn = [new_number() for _ in range(50)]

    assert all(re.fullmatch(f"AB-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", one) for one in drawn)
    assert all(read_number(one) == one for one in drawn)
    assert not set("01ILOU") & set(ALPHABET)
    assert len(set(drawn)) == 50


@pytest.mark.parametrize("number", NUMBERS[:5])
def test_however_it_is_written_it_is_the_same(number: str) -> None:
    plain = number.replace("-", "")

    for written in (
        number.lower(),
        plain,
        f" {number} ",
        plain.lower(),
        number.replace("-", " \u2013 "),
    ):
        assert read_number(written) == number


@pytest.mark.parametrize("number", NUMBERS[:10])
def test_every_wrong_character_and_every_swap_is_found(number: str) -> None:
    body = number.removeprefix("AB-").replace("-", "")
    wrong = {
        body[:place] + other + body[place + 1 :]
        for place in range(8)
        for other in ALPHABET
        if other != body[place]
    }
    wrong |= {
        body[:place] + body[place + 1] + body[place] + body[place + 2 :]
        for place in range(6)
        if body[place] != body[place + 1]
    }

    for one in wrong:
        with pytest.raises(InvalidRequest, match="typing mistake"):
            read_number(f"AB-{one}")


@pytest.mark.parametrize(
    "text", ["", "AB", "AB-1234-5678", "XX-7K3M-9QXT", "AB-7K3M-9QX", "'; --", "A" * 999]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="AB-XXXX-XXXX") as refused:
        read_number(text)
    assert refused.value.param == "number"
