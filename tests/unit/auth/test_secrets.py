"""What is stored of keys and passwords tells neither."""

import hashlib
import hmac

import pytest

from aibridge_auth.crypto.key_format import new_key
from aibridge_auth.crypto.password import MIN_CHARACTERS, hash_password, verify_password
from aibridge_auth.crypto.pepper import KeyHasher, WeakPepper
from aibridge_common.settings import Secret

PEPPER = "5e" * 32


class TestDigest:
    def test_it_is_the_keyed_hash_of_the_whole_key(self) -> None:
        key = new_key()

        expected = hmac.new(bytes.fromhex(PEPPER), key.encode(), hashlib.sha256).digest()

        assert expected == KeyHasher(Secret(PEPPER)).digest(key)

    def test_it_changes_with_every_part_of_the_key_and_with_the_pepper(self) -> None:
        key = new_key()
        hasher = KeyHasher(Secret(PEPPER))
        digests = {
            hasher.digest(key),
            hasher.digest(key[:20]),
            hasher.digest(key[:-1]),
            hasher.digest(new_key()),
            KeyHasher(Secret("5f" * 32)).digest(key),
        }

        assert len(digests) == 5

    @pytest.mark.parametrize("pepper", ["", "5e" * 31, "not hexadecimal at all", "5e" * 31 + "5"])
    def test_a_weak_pepper_is_refused_without_being_shown(self, pepper: str) -> None:
        with pytest.raises(WeakPepper, match="AIBRIDGE_AUTH_KEY_PEPPER") as refusal:
            KeyHasher(Secret(pepper))

        assert not pepper or pepper not in str(refusal.value)


class TestPassword:
    def test_the_right_one_verifies_and_others_do_not(self) -> None:
        stored = hash_password("correct horse battery")

        assert verify_password(stored, "correct horse battery")
        assert not verify_password(stored, "correct horse batterY")
        assert not verify_password(stored, "")

    def test_it_is_argon2id_with_its_own_salt(self) -> None:
        first, second = (
            hash_password("correct horse battery"),
            hash_password("correct horse battery"),
        )

        assert first != second
        assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert "correct" not in first

    def test_a_short_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="12 characters"):
            hash_password("x" * (MIN_CHARACTERS - 1))

    @pytest.mark.parametrize("stored", ["!", "", "correct horse battery", "$argon2id$broken"])
    def test_nothing_verifies_against_what_is_no_hash(self, stored: str) -> None:
        assert not verify_password(stored, "correct horse battery")
        assert not verify_password(stored, stored)
