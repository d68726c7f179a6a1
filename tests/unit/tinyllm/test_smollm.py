"""The real model, where it is installed."""

# ruff: noqa: E402 - what computes is imported once it is known that it can be

from .extra import need_model

need_model()

from aibridge_tinyllm.chat_template import Turn
from aibridge_tinyllm.gguf_file import GgufFile, shipped_file
from aibridge_tinyllm.language_model import LanguageModel
from aibridge_tinyllm.sampling import Sampling
from aibridge_tinyllm.tokenizer import Tokenizer


def test_its_vocabulary_reads_every_byte() -> None:
    tokenizer = Tokenizer(GgufFile(shipped_file()).vocabulary())
    text = "Ünïcödé 漢字 🚀\n\ttabs  and 12345 \x00 ½"
    pieces = [tokenizer.decode(token) for token in tokenizer.encode(text)]

    assert b"".join(pieces).decode() == text
    assert [tokenizer.control(f"<|im_{name}|>") for name in ("start", "end")] == [1, 2]
    assert [tokenizer.decode(token) for token in tokenizer.encode("Hello world, it's 42")] == [
        *(b"Hello", b" world", b",", b" it", b"'s", b" ", b"4", b"2")
    ]


def test_it_knows_the_capital_of_france() -> None:
    model = LanguageModel.load("smollm", shipped_file())
    prompt = model.prompt([Turn(role="user", text="What is the capital of France?")])
    pieces = model.generate(
        prompt, sampling=Sampling(temperature=0), tokens_max=20, wanted=lambda: True
    )

    assert b"".join(pieces) == b"The capital of France is Paris."
