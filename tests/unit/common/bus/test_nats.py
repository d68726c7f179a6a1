"""Against a real NATS server with JetStream."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from aibridge_common.bus.nats import Bus, BusUnavailable, StreamSpec

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(nats_url, "test")
    yield connected
    await connected.close()


@pytest.fixture
def name() -> str:
    """The server is everybody's: names are our own."""
    return "T" + secrets.token_hex(6)


@pytest.fixture
async def stream(bus: Bus, name: str) -> AsyncIterator[str]:
    await bus.ensure_stream(spec(name))
    yield name
    await bus._js.delete_stream(name)


def spec(name: str, *, max_bytes: int = 2**20, max_message_bytes: int = 1000) -> StreamSpec:
    return StreamSpec(
        name=name,
        subjects=[f"{name}.>"],
        max_bytes=max_bytes,
        max_message_bytes=max_message_bytes,
    )


class TestPublish:
    async def test_subscribers_hear(self, bus: Bus, nats_url: str, name: str) -> None:
        """Whoever listens gets every payload in order; other subjects stay silent."""
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        listener = await Bus.connect(nats_url, "listener")
        await listener.subscribe(f"{name}.a", heard.put)
        await bus.publish(f"{name}.b", b"other")
        for number in range(3):
            await bus.publish(f"{name}.a", b"%d" % number)
        got = [await asyncio.wait_for(heard.get(), 2) for _ in range(3)]
        await listener.close()

        assert got == [b"0", b"1", b"2"]
        assert heard.empty()

    async def test_nobody_listens(self, bus: Bus, name: str) -> None:
        await bus.publish(name, b"x")

        assert bus.connected

    async def test_after_close(self, nats_url: str, name: str) -> None:
        bus = await Bus.connect(nats_url, "test")
        await bus.close()
        await bus.close()
        with pytest.raises(BusUnavailable):
            await bus.publish(name, b"x")

        assert not bus.connected


class TestClose:
    async def test_takes_no_time(self, nats_url: str, bus: Bus, stream: str) -> None:
        """A service that read from a stream stops at once; what it did not settle comes again."""
        await bus.append(f"{stream}.a", b"x", "1")
        reading = await Bus.connect(nats_url, "reader")
        await (await reading.consumer(stream, "reader", f"{stream}.>")).fetch(1, 1)
        async with asyncio.timeout(1):
            await reading.close()
        info = await bus._js.consumer_info(stream, "reader")

        assert info.num_ack_pending == 1

    async def test_sends_what_is_pending(self, nats_url: str, bus: Bus, name: str) -> None:
        """What was handed over before the end arrives."""
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        await bus.subscribe(name, heard.put)
        leaving = await Bus.connect(nats_url, "leaving")
        await leaving._client.publish(name, b"x")
        await leaving.close()

        assert await asyncio.wait_for(heard.get(), 2) == b"x"


class TestEnsureStream:
    async def test_again(self, bus: Bus, stream: str) -> None:
        """Every start of every replica ensures the stream; what is in it stays."""
        await bus.append(f"{stream}.a", b"x", "1")
        for _ in range(2):
            await bus.ensure_stream(spec(stream))
        info = await bus._js.stream_info(stream)

        assert info.state.messages == 1

    async def test_at_once(self, bus: Bus, name: str) -> None:
        await asyncio.gather(*[bus.ensure_stream(spec(name)) for _ in range(5)])
        info = await bus._js.stream_info(name)
        await bus._js.delete_stream(name)

        assert info.config.name == name

    async def test_new_limits(self, bus: Bus, stream: str) -> None:
        """A changed specification changes the stream in place."""
        await bus.append(f"{stream}.a", b"x", "1")
        await bus.ensure_stream(spec(stream, max_bytes=2**21))
        info = await bus._js.stream_info(stream)

        assert (info.config.max_bytes, info.state.messages) == (2**21, 1)

    async def test_nothing_can_be_deleted(self, bus: Bus, stream: str) -> None:
        """What billing has not read yet cannot be purged by mistake."""
        await bus.append(f"{stream}.a", b"x", "1")
        info = await bus._js.stream_info(stream)

        assert (info.config.deny_delete, info.config.deny_purge) == (True, True)


class TestAppend:
    async def test_same_id(self, bus: Bus, stream: str) -> None:
        """Sending again after a lost answer stores nothing twice, and says so."""
        first = await bus.append(f"{stream}.a", b"x", "id-1")
        again = await bus.append(f"{stream}.a", b"x", "id-1")
        other = await bus.append(f"{stream}.a", b"x", "id-2")
        info = await bus._js.stream_info(stream)

        assert (first, again, other) == (False, True, False)
        assert info.state.messages == 2

    async def test_no_stream(self, bus: Bus, name: str) -> None:
        with pytest.raises(BusUnavailable):
            await bus.append(f"{name}.a", b"x", "1")

        assert bus.connected

    async def test_message_too_large(self, bus: Bus, stream: str) -> None:
        with pytest.raises(BusUnavailable):
            await bus.append(f"{stream}.a", b"x" * 2000, "1")

        assert bus.connected

    async def test_stream_is_full(self, bus: Bus, name: str) -> None:
        """New messages are refused; the old ones, which are money, stay."""
        await bus.ensure_stream(spec(name, max_bytes=4000))
        results = await asyncio.gather(
            *[bus.append(f"{name}.a", b"x" * 900, str(number)) for number in range(20)],
            return_exceptions=True,
        )
        info = await bus._js.stream_info(name)
        await bus._js.delete_stream(name)

        assert 0 < info.state.messages == results.count(False)
        assert {type(result) for result in results} == {bool, BusUnavailable}


class TestConsumer:
    async def test_fetch_and_ack(self, bus: Bus, stream: str) -> None:
        """What is settled does not come again, not even to another reader of the same name."""
        for number in range(3):
            await bus.append(f"{stream}.a", b"%d" % number, str(number))
        consumer = await bus.consumer(stream, "reader", f"{stream}.>")
        messages = await consumer.fetch(10, 1)
        for message in messages:
            await message.ack()
        other = await bus.consumer(stream, "reader", f"{stream}.>")

        assert [message.data for message in messages] == [b"0", b"1", b"2"]
        assert await other.fetch(10, 0.2) == []

    async def test_what_came_after_a_fetch_gave_up_is_in_the_next(
        self, bus: Bus, stream: str
    ) -> None:
        consumer = await bus.consumer(stream, "durable", f"{stream}.>")
        pull = consumer._subscription
        await pull._nc.publish(pull._nms, b'{"batch": 1, "expires": 5000000000}', pull._deliver)
        await bus.append(f"{stream}.late", b"late", "1")
        async with asyncio.timeout(5):
            while not pull.pending_msgs:  # noqa: ASYNC110 - a counter of the library
                await asyncio.sleep(0.01)

        [late] = await consumer.fetch(8, 1.0)

        assert late.data == b"late"

    async def test_nothing_there(self, bus: Bus, stream: str) -> None:
        consumer = await bus.consumer(stream, "reader", f"{stream}.>")

        assert await consumer.fetch(10, 0.1) == []

    async def test_asked_again(self, bus: Bus, stream: str) -> None:
        """A message put off comes again, as often as it is put off."""
        await bus.append(f"{stream}.a", b"x", "1")
        consumer = await bus.consumer(stream, "reader", f"{stream}.>")
        seen: list[bytes] = []
        for _ in range(4):
            (message,) = await consumer.fetch(1, 2)
            seen.append(message.data)
            await message.retry_later(0.02)
        (message,) = await consumer.fetch(1, 2)
        await message.ack()

        assert seen == [b"x"] * 4
        assert await consumer.fetch(1, 0.2) == []

    async def test_never_acked(self, bus: Bus, stream: str) -> None:
        """A reader that dies with a message leaves it to the next one once its time is up."""
        await bus.append(f"{stream}.a", b"x", "1")
        dying = await bus.consumer(stream, "reader", f"{stream}.>")
        info = await bus._js.consumer_info(stream, "reader")
        info.config.ack_wait = 0.3  # what billing waits a minute for
        await bus._js.add_consumer(stream, info.config)
        first = await dying.fetch(1, 1)
        too_early = await dying.fetch(1, 0.1)
        second = await dying.fetch(1, 2)
        await second[0].ack()

        assert [message.data for message in first + second] == [b"x", b"x"]
        assert too_early == []
        assert info.config.max_deliver in {-1, None}

    async def test_acked_twice(self, bus: Bus, stream: str) -> None:
        await bus.append(f"{stream}.a", b"x", "1")
        consumer = await bus.consumer(stream, "reader", f"{stream}.>")
        (message,) = await consumer.fetch(1, 1)
        await message.ack()
        with pytest.raises(BusUnavailable):
            await message.ack()

        assert await consumer.fetch(1, 0.1) == []
