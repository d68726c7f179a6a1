from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as some

from aibridge_tinyllm.speech import Ended, Said, speak
from aibridge_tinyllm.stops import Stops

STOPS = some.lists(some.text(alphabet="ab", min_size=1, max_size=3), max_size=3)


def heard(pieces: list[bytes], *stops: str, tokens_max: int = 100) -> tuple[list[str], Ended]:
    *said, ended = speak(iter(pieces), stops=stops, tokens_max=tokens_max)
    assert isinstance(ended, Ended)
    return [part.text for part in said if isinstance(part, Said)], ended


def test_characters_leave_whole() -> None:
    pieces = [b"a\xc3", b"\xa9", b"\xf0\x9f", b"\x98", b"\x80b"]
    assert heard(pieces) == (["a", "é", "😀b"], Ended(reason="stop", completion_tokens=5))


def test_half_a_character_at_the_end_is_replaced() -> None:
    assert heard([b"a", b"\xf0\x9f"])[0] == ["a", "�"]


def test_the_limit_ends_it() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x"

    *said, ended = speak(endless(), stops=(), tokens_max=3)
    assert len(said) == 3
    assert ended == Ended(reason="length", completion_tokens=3)


def test_a_stop_sequence_is_counted_and_not_said() -> None:
    pieces = [b"one ", b"EN", b"D", b" two"]
    assert heard(pieces, "END") == (["one "], Ended(reason="stop", completion_tokens=3))


def test_a_stop_sequence_on_the_limit_is_a_stop() -> None:
    assert heard([b"a", b"END"], "END", tokens_max=2)[1].reason == "stop"


def test_what_only_began_like_a_stop_sequence_is_said() -> None:
    assert "".join(heard([b"one E", b"N"], "END")[0]) == "one EN"
    assert heard([b"E", b"NE", b"ND"], "END")[0] == ["EN"]


@given(some.lists(some.text(alphabet="ab", max_size=4)), STOPS)
def test_pieces_stop_where_the_whole_text_does(pieces: list[str], stops: list[str]) -> None:
    """Wherever the text is cut, what is said ends before the first stop sequence to be complete."""
    whole = "".join(pieces)
    complete = [end for end in range(len(whole) + 1) if any(whole[:end].endswith(s) for s in stops)]
    gate = Stops(stops)
    said = "".join(gate.feed(piece) for piece in pieces) + gate.end()

    assert whole.startswith(said)
    assert gate.found == bool(complete)
    assert not any(stop in said for stop in stops)
    if not complete:
        assert said == whole
