"""A sealed key opens with its sealing key, in its own row, unchanged; not otherwise."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.sealed import CannotUnseal, Sealer
from aibridge_common.settings import Secret

SEALER = Sealer(Secret("ab" * 32))
ROW = UUID(int=1)
SEALED = SEALER.seal("sk-secret", ROW, "openai")


class TestSealing:
    @given(secret=st.text(), row=st.uuids(), provider=st.text(max_size=20))
    def test_what_is_sealed_opens_again(self, secret: str, row: UUID, provider: str) -> None:
        assert SEALER.unseal(SEALER.seal(secret, row, provider), row, provider) == Secret(secret)

    def test_two_seals_differ(self) -> None:
        assert SEALER.seal("sk-secret", ROW, "openai") != SEALED
        assert b"sk-secret" not in SEALED

    @pytest.mark.parametrize(
        ("row", "provider"), [(UUID(int=2), "openai"), (ROW, "anthropic"), (UUID(int=2), "")]
    )
    def test_another_row_or_provider_is_refused(self, row: UUID, provider: str) -> None:
        with pytest.raises(CannotUnseal, match="does not belong to its row"):
            SEALER.unseal(SEALED, row, provider)

    def test_another_sealing_key_is_refused(self) -> None:
        with pytest.raises(CannotUnseal, match="another sealing key"):
            Sealer(Secret("cd" * 32)).unseal(SEALED, ROW, "openai")

    def test_a_flipped_bit_anywhere_is_refused(self) -> None:
        for place in range(len(SEALED)):
            tampered = bytearray(SEALED)
            tampered[place] ^= 1
            with pytest.raises(CannotUnseal):
                SEALER.unseal(bytes(tampered), ROW, "openai")

    def test_a_row_cut_short_anywhere_is_refused(self) -> None:
        for length in range(len(SEALED)):
            with pytest.raises(CannotUnseal):
                SEALER.unseal(SEALED[:length], ROW, "openai")


class TestSealingKey:
    @pytest.mark.parametrize("key", ["", "ab" * 31, "ab" * 33, "zz" * 32, "not hexadecimal"])
    def test_a_wrong_one_is_refused_and_not_shown(self, key: str) -> None:
        with pytest.raises(CannotUnseal) as refusal:
            Sealer(Secret(key))

        assert "32 bytes in hexadecimal" in refusal.value.message
        assert not key or key not in refusal.value.message
