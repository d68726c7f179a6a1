"""A request that comes again by its idempotency key is answered once and charged once."""

import asyncio
from uuid import UUID

import pytest

from aibridge_common.errors import Conflict, InvalidRequest
from aibridge_router.exchange import repeats as room
from aibridge_router.exchange.repeats import Answer, Mismatch, Repeats, fingerprint

ACCOUNT, OTHER = UUID(int=1), UUID(int=2)
PRINT = fingerprint("/v1/messages", b"{}")
ANSWER = Answer(status=200, headers=[], body=b"x" * 100)


@pytest.fixture
def repeats() -> Repeats:
    return Repeats()


class TestIdempotencyKey:
    def test_the_same_request_gets_the_same_answer(self, repeats: Repeats) -> None:
        assert repeats.begin(0, (ACCOUNT, b"k"), PRINT) is None
        repeats.end(1, (ACCOUNT, b"k"), ANSWER)

        assert repeats.begin(2, (ACCOUNT, b"k"), PRINT) is ANSWER

    def test_while_the_first_runs_the_second_is_refused(self, repeats: Repeats) -> None:
        repeats.begin(0, (ACCOUNT, b"k"), PRINT)

        with pytest.raises(Conflict) as refusal:
            repeats.begin(1, (ACCOUNT, b"k"), PRINT)
        assert refusal.value.retry_after_s == 1

    def test_another_request_under_the_key_is_refused(self, repeats: Repeats) -> None:
        repeats.begin(0, (ACCOUNT, b"k"), PRINT)
        repeats.end(1, (ACCOUNT, b"k"), ANSWER)

        with pytest.raises(Mismatch):
            repeats.begin(2, (ACCOUNT, b"k"), fingerprint("/v1/messages", b"[]"))

    def test_one_that_gave_no_answer_is_served_anew(self, repeats: Repeats) -> None:
        repeats.begin(0, (ACCOUNT, b"k"), PRINT)
        repeats.end(1, (ACCOUNT, b"k"), None)

        assert repeats.begin(2, (ACCOUNT, b"k"), PRINT) is None

    def test_keys_of_accounts_are_apart(self, repeats: Repeats) -> None:
        repeats.begin(0, (ACCOUNT, b"k"), PRINT)

        assert repeats.begin(0, (OTHER, b"k"), PRINT) is None

    def test_answers_are_forgotten_after_their_time(self, repeats: Repeats) -> None:
        repeats.begin(0, (ACCOUNT, b"k"), PRINT)
        repeats.end(1, (ACCOUNT, b"k"), ANSWER)

        assert repeats.begin(2 + room.REMEMBERED_S, (ACCOUNT, b"k"), PRINT) is None

    def test_the_oldest_answers_go_when_they_are_too_many(
        self, repeats: Repeats, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(room, "ANSWERS_BYTES_MAX", 250)
        for number in range(3):
            repeats.begin(0, (ACCOUNT, b"%d" % number), PRINT)
            repeats.end(number, (ACCOUNT, b"%d" % number), ANSWER)

        assert repeats.begin(9, (ACCOUNT, b"0"), PRINT) is None
        assert repeats.begin(9, (ACCOUNT, b"2"), PRINT) is ANSWER

    @pytest.mark.parametrize("key", [b"", b"k" * 256])
    def test_a_key_that_is_none_is_refused_by_name(self, repeats: Repeats, key: bytes) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            repeats.begin(0, (ACCOUNT, key), PRINT)
        assert refusal.value.param == "idempotency-key"


class TestPoison:
    def test_exactly_that_request_of_that_account_is_refused_for_a_minute(
        self, repeats: Repeats
    ) -> None:
        repeats.poison(0, ACCOUNT, PRINT)

        with pytest.raises(InvalidRequest):
            repeats.refuse_poison(59, ACCOUNT, "/v1/messages", b"{}")
        repeats.refuse_poison(59, OTHER, "/v1/messages", b"{}")
        repeats.refuse_poison(59, ACCOUNT, "/v1/messages", b"[]")
        repeats.refuse_poison(60, ACCOUNT, "/v1/messages", b"{}")


def test_many_at_once_with_one_key_are_one() -> None:
    """The check and the note are one step: nothing waits between them."""
    repeats = Repeats()

    async def ask() -> bool:
        try:
            return repeats.begin(0, (ACCOUNT, b"k"), PRINT) is None
        except Conflict:
            return False

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*[ask() for _ in range(20)])

    assert sum(asyncio.run(all_at_once())) == 1
