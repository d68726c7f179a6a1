"""A vocabulary of all bytes, some merges and the control tokens of a chat."""

from aibridge_tinyllm.byte_letters import spell
from aibridge_tinyllm.vocabulary import Vocabulary

CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_JOINED = (
    "he",
    "hell",
    "hello",
    " w",
    " wo",
    "  ",
    "ss",
    "ssi",
    "us",
    "er",
    "user",
    "é",
    "漢",
)


def alphabet() -> Vocabulary:
    """Every text has tokens; a joined word ranks by its place above."""
    merges: list[tuple[str, ...]] = []
    tokens = [*CONTROLS, *(spell(bytes([byte])) for byte in range(256))]
    for joined in _JOINED:
        letters = spell(joined.encode())
        for end in range(2, len(letters) + 1):
            if letters[:end] not in tokens:
                tokens.append(letters[:end])
                merges.append((letters[: end - 1], letters[end - 1]))
    return Vocabulary(tokens=tokens, merges=merges, controls=frozenset(range(len(CONTROLS))))
