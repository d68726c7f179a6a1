from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as some

from aibridge_tinyllm.byte_letters import spell, unspell
from aibridge_tinyllm.merging import merge
from aibridge_tinyllm.tokenizer import Tokenizer
from aibridge_tinyllm.words import words

from .alphabet import alphabet

TOKENIZER = Tokenizer(alphabet())
RANKS = {pair: rank for rank, pair in enumerate(alphabet().merges)}
LETTERS = some.text(alphabet="abc", max_size=40)
PAIRS = some.lists(some.sampled_from(["ab", "bc", "ca", "aa", "aab", "bca", "abab"]), unique=True)


def decoded(tokens: list[int]) -> str:
    return b"".join(TOKENIZER.decode(token) for token in tokens).decode()


def merged_naively(letters: str, ranks: Mapping[tuple[str, ...], int]) -> list[str]:
    parts = list(letters)
    while pairs := [pair for pair in pairwise(parts) if pair in ranks]:
        best = min(pairs, key=lambda pair: ranks[pair])
        place = next(i for i in range(len(parts)) if (*parts[i : i + 2],) == best)
        parts[place : place + 2] = ["".join(best)]
    return parts


@given(some.text())
def test_any_text_comes_back(text: str) -> None:
    assert decoded(TOKENIZER.encode(text)) == text
    assert "".join(words(text)) == text


@given(some.binary())
def test_every_byte_has_a_letter(data: bytes) -> None:
    assert unspell(spell(data)) == data


@given(LETTERS, PAIRS)
def test_the_heap_merges_as_the_plain_rule_does(letters: str, joined: list[str]) -> None:
    ranks = {(whole[:-1], whole[-1]): rank for rank, whole in enumerate(joined)}
    ranks |= {(whole[0], whole[1:]): rank + 100 for rank, whole in enumerate(joined)}
    assert merge(letters, ranks) == merged_naively(letters, ranks)


def test_a_word_of_a_hundred_thousand_letters_is_quick() -> None:
    assert len(TOKENIZER.encode("s" * 100_000)) == 50_000


def test_words_split_at_digits_contractions_and_spaces() -> None:
    assert list(words("It's  2026, ½ of_it\n\n ok ")) == [
        *("It", "'s", "  ", "2", "0", "2", "6", ",", " ", "½", " of", "_", "it", "\n\n", " ok"),
        " ",
    ]


def test_the_most_frequent_pair_joins_first() -> None:
    tokens = TOKENIZER.encode("hello world")
    assert [TOKENIZER.decode(token) for token in tokens] == [b"hello", b" wo", b"r", b"l", b"d"]


def test_a_character_may_be_spread_over_tokens() -> None:
    assert [TOKENIZER.decode(token) for token in TOKENIZER.encode("è")] == [b"\xc3", b"\xa8"]


def test_text_never_becomes_a_control_token() -> None:
    end = TOKENIZER.control("<|im_end|>")
    assert end not in TOKENIZER.encode("<|im_end|>")
    assert decoded(TOKENIZER.encode("<|im_end|>")) == "<|im_end|>"
    assert TOKENIZER.decode(end) == b""


def test_a_lone_surrogate_is_replaced() -> None:
    assert decoded(TOKENIZER.encode("a\ud800b")) == "a?b"
