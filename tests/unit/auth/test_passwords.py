"""What is taken as a new password."""

import pytest

from aibridge_auth.crypto.password import verify_password
from aibridge_auth.crypto.passwords import (
    MAX_CHARACTERS,
    Passwords,
    check_guessable,
    check_length,
)
from aibridge_common.errors import InvalidRequest

pytestmark = pytest.mark.anyio
STRONG = "correct horse battery"


@pytest.mark.parametrize(
    "weak",
    [
        "password1234",
        "qwertyuiop12",
        "iloveyouforever",
        "123456789012",
        "abcdefghijkl",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "Passw0rd!2024",
        "aibridge1234",
    ],
)
async def test_what_many_have_is_refused(weak: str) -> None:
    check_length(weak)
    with pytest.raises(InvalidRequest, match="easy to guess") as refused:
        await Passwords().hash(weak)
    assert refused.value.param == "password"


@pytest.mark.parametrize(
    "about",
    [
        "ada.lovelace@analytical.example",
        "Ada.Lovelace",
        "analyticalada",
        "and always Ada.Lovelace@analytical.example!",
    ],
)
def test_ones_own_address_is_refused(about: str) -> None:
    with pytest.raises(InvalidRequest):
        check_guessable(about, "ada.lovelace@analytical.example")


@pytest.mark.parametrize("length", [0, 11, MAX_CHARACTERS + 1])
async def test_a_length_that_is_not_taken(length: int) -> None:
    password = (STRONG * 20)[:length]
    with pytest.raises(InvalidRequest, match="characters"):
        await Passwords().hash(password)


@pytest.mark.parametrize("strong", [STRONG, "正确的马电池订书钉骑着自行车", "x9$kQ2!vLm4z"])
async def test_words_that_do_not_belong_together_are_taken(strong: str) -> None:
    assert verify_password(await Passwords().hash(strong, "ada@customer.example"), strong)


async def test_an_old_password_is_hashed_again_whatever_is_asked_of_new_ones() -> None:
    assert verify_password(await Passwords().hash_again("password1234"), "password1234")
