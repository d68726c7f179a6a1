from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aibridge_tinyllm.chat_template import Turn, write_prompt
from aibridge_tinyllm.gguf_file import GgufFile
from aibridge_tinyllm.sampler import Sampler
from aibridge_tinyllm.sampling import Sampling
from aibridge_tinyllm.tokenizer import Tokenizer
from aibridge_tinyllm.transformer import Transformer

_READ_AT_ONCE_TOKENS = 256
"""A long prompt is read in pieces: attention needs less memory, and one that left is noticed."""


class LanguageModel:
    """Tokenizer and transformer together. Used by one thread at a time."""

    def __init__(self, name: str, tokenizer: Tokenizer, transformer: Transformer) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._transformer = transformer

    @staticmethod
    def load(name: str, path: Path) -> "LanguageModel":
        """From a GGUF file."""
        file = GgufFile(path)
        return LanguageModel(name, Tokenizer(file.vocabulary()), Transformer(file.weights()))

    @property
    def context_tokens(self) -> int:
        """As trained."""
        return self._transformer.geometry.context_tokens

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """The tokens of a conversation."""
        return write_prompt(turns, self._tokenizer)

    def generate(
        self,
        prompt: Sequence[int],
        *,
        sampling: Sampling,
        tokens_max: int,
        wanted: Callable[[], bool],
    ) -> Iterator[bytes]:
        """See `Generator`."""
        cache = self._transformer.new_cache(len(prompt) + tokens_max)
        sampler = Sampler(sampling)
        unread: Sequence[int] = prompt
        for _ in range(tokens_max):
            scores = None
            for start in range(0, len(unread), _READ_AT_ONCE_TOKENS):
                if not wanted():
                    return
                piece = unread[start : start + _READ_AT_ONCE_TOKENS]
                scores = self._transformer.read(piece, cache)
            token = sampler.choose(scores)
            if self._tokenizer.is_control(token):
                return
            yield self._tokenizer.decode(token)
            unread = [token]
