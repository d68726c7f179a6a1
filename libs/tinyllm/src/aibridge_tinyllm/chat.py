"""POST /v1/chat/completions."""

import asyncio
from collections.abc import Callable, Iterator

from aibridge_tinyllm.ask import Ask, read_ask
from aibridge_tinyllm.completion import Completion
from aibridge_tinyllm.generator import Generator
from aibridge_tinyllm.http import EVENT_STREAM, Exchange
from aibridge_tinyllm.refusal import Refusal
from aibridge_tinyllm.seat import Seat, Sitting
from aibridge_tinyllm.speech import Ended, Speech, speak


class Chat:
    """Answers one conversation at a time, in the order they came."""

    def __init__(self, generator: Generator, *, waiting_max: int) -> None:
        self._generator = generator
        self._seat = Seat(waiting_max=waiting_max)

    async def serve(self, exchange: Exchange) -> None:
        """Raises `Refusal` before the answer has started."""
        ask = read_ask(await exchange.body())
        if ask.model != self._generator.name:
            raise Refusal(
                404,
                f"The model `{ask.model}` does not exist.",
                code="model_not_found",
                param="model",
            )
        prompt = await asyncio.to_thread(self._generator.prompt, ask.turns)
        room = self._generator.context_tokens - len(prompt)
        if room < 1:
            raise Refusal(
                400,
                f"This model's maximum context length is {self._generator.context_tokens} tokens, "
                f"but your messages have {len(prompt)}, which leaves none for an answer.",
                code="context_length_exceeded",
                param="messages",
            )
        completion = Completion(
            model=ask.model, prompt_tokens=len(prompt), include_usage=ask.include_usage
        )
        async with (
            self._seat.take(self._work(ask, prompt, min(ask.output_tokens_max, room))) as sitting,
            exchange.calling_when_left(sitting.leave),
        ):
            await (_stream if ask.stream else _whole)(exchange, completion, sitting)

    def _work(
        self, ask: Ask, prompt: list[int], tokens_max: int
    ) -> Callable[[Callable[[], bool]], Iterator[Speech]]:
        def work(wanted: Callable[[], bool]) -> Iterator[Speech]:
            pieces = self._generator.generate(
                prompt, sampling=ask.sampling, tokens_max=tokens_max, wanted=wanted
            )
            return speak(pieces, stops=ask.stops, tokens_max=tokens_max)

        return work


async def _stream(exchange: Exchange, completion: Completion, sitting: Sitting[Speech]) -> None:
    await exchange.start(200, EVENT_STREAM, cache_control="no-cache")
    await exchange.write(completion.opening())
    async for speech in sitting.results():
        await exchange.write(completion.chunk(speech), more=not isinstance(speech, Ended))


async def _whole(exchange: Exchange, completion: Completion, sitting: Sitting[Speech]) -> None:
    text = ""
    async for speech in sitting.results():
        if isinstance(speech, Ended):
            await exchange.answer(200, completion.whole(text, speech))
        else:
            text += speech.text
