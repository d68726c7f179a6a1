"""Keys are uniform, and a slip of the pen is noticed without asking anybody."""

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_auth.crypto.key_format import hint, is_well_formed, new_key

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH = 42
KEYS = st.builds(new_key)


@given(KEYS)
def test_every_new_key_is_well_formed_and_of_one_length(key: str) -> None:
    assert is_well_formed(key)
    assert len(key) == LENGTH
    assert key.startswith("ab-")
    assert set(key[3:]) <= set(ALPHABET)


def test_no_two_keys_are_alike() -> None:
    assert len({new_key() for _ in range(1000)}) == 1000


@given(KEYS, st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET + "-_ é"))
def test_any_other_character_anywhere_is_refused(key: str, place: int, character: str) -> None:
    changed = key[:place] + character + key[place + 1 :]

    assert is_well_formed(changed) == (changed == key)


@given(KEYS, st.integers(3, LENGTH - 2))
def test_two_neighbours_swapped_are_refused(key: str, place: int) -> None:
    changed = key[:place] + key[place + 1] + key[place] + key[place + 2 :]

    assert is_well_formed(changed) == (changed == key)


@given(st.text(max_size=60))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert not is_well_formed(text)


@pytest.mark.parametrize(
    "spoil", [lambda k: k + "\n", lambda k: " " + k, lambda k: k + k[-1], str.lower]
)
def test_a_key_with_something_around_it_is_refused(spoil: Callable[[str], str]) -> None:
    assert not is_well_formed(spoil(new_key()))


@given(KEYS)
def test_the_hint_shows_eleven_characters_and_no_more(key: str) -> None:
    shown = hint(key)

    assert shown == f"{key[:7]}…{key[-4:]}"
    assert len(shown) == 12
