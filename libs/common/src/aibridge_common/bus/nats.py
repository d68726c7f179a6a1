"""NATS and JetStream behind the few verbs we use; nats-py is imported nowhere else."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import nats
import nats.errors
import nats.js.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from aibridge_common.telemetry.log import get_logger

_FORMING_ATTEMPTS = 30

Handler = Callable[[bytes], Awaitable[None]]


class BusUnavailable(Exception):
    """The bus did not take or give a message in time; the outcome is unknown."""


class StreamSpec(Struct, frozen=True, kw_only=True):
    """A durable stream. Limits retention and discard-new: nothing is dropped to make room."""

    name: str
    subjects: list[str]
    replicas: int = 1
    max_age_s: int = 14 * 24 * 3600
    max_bytes: int = 4 * 1024**3
    max_message_bytes: int = 262_144
    duplicate_window_s: int = 600


class Message:
    """A delivered message of a durable stream; it comes again until `ack()`."""

    def __init__(self, msg: Msg) -> None:
        self._msg = msg

    @property
    def data(self) -> bytes:
        """The payload."""
        return self._msg.data

    @property
    def subject(self) -> str:
        """Where it was published."""
        return self._msg.subject

    @property
    def waiting(self) -> int:
        """Messages that had not been delivered when this one was."""
        return self._msg.metadata.num_pending

    @property
    def stored_at(self) -> datetime:
        """When the server took it, by its clock."""
        return self._msg.metadata.timestamp

    async def ack(self) -> None:
        """Settle the message and wait until the server has noted it. Raises `BusUnavailable`."""
        try:
            await self._msg.ack_sync(timeout=5)
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailable(str(error)) from error

    async def in_progress(self) -> None:
        """Have more time before it is delivered again. Raises `BusUnavailable`."""
        try:
            await self._msg.in_progress()
        except nats.errors.Error as error:
            raise BusUnavailable(str(error)) from error

    async def retry_later(self, delay_s: float) -> None:
        """Ask for another delivery after `delay_s`. Raises `BusUnavailable`; it then comes after the ack wait."""
        try:
            await self._msg.nak(delay=delay_s)
        except nats.errors.Error as error:
            raise BusUnavailable(str(error)) from error


async def acknowledge(messages: list[Message]) -> None:
    """Settle all of them at once. Raises `BusUnavailable` when the server did not note every one."""
    results = await asyncio.gather(*(each.ack() for each in messages), return_exceptions=True)
    for result in results:
        if result is not None:
            raise result


@asynccontextmanager
async def kept_in_progress(messages: list[Message], every_s: float) -> AsyncGenerator[None]:
    """They are not delivered to anybody else while this lasts."""

    async def tell() -> None:
        with suppress(BusUnavailable):  # they come again; that is harmless
            while True:
                await asyncio.sleep(every_s)
                for message in messages:
                    await message.in_progress()

    telling = asyncio.ensure_future(tell())
    try:
        yield
    finally:
        telling.cancel()


class Consumer:
    """A durable pull consumer."""

    def __init__(self, subscription: JetStreamContext.PullSubscription) -> None:
        self._subscription = subscription
        self.is_open = True

    async def fetch(self, count: int, timeout_s: float) -> list[Message]:
        """Up to `count` messages; an empty list when none came in time.

        Without a heartbeat: nats-py asks again for what is left of the time with the same one, the server refuses one
        that is more than half of it, and the refusal loses what was delivered until it comes again.
        """
        try:
            found = await self._subscription.fetch(count, timeout=timeout_s)
        except (nats.errors.TimeoutError, TimeoutError):
            return []
        except nats.errors.Error as error:
            raise BusUnavailable(str(error)) from error
        return [Message(msg) for msg in found]

    async def close(self) -> None:
        """Listen no more; what was delivered and not acknowledged comes again."""
        self.is_open = False
        with suppress(nats.errors.Error):
            await self._subscription.unsubscribe()


class Bus:
    """A connection to NATS that reconnects for ever."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream(timeout=5)
        self._consumers: list[Consumer] = []

    @staticmethod
    async def connect(url: str, name: str) -> "Bus":
        """Connect, waiting for the server if it is not there yet (at most about 30 s)."""
        log = get_logger()

        async def on_error(error: Exception) -> None:
            log.warning("bus.error", error=str(error) or type(error).__name__)

        async def on_disconnect() -> None:
            log.warning("bus.disconnected")

        async def on_reconnect() -> None:
            log.info("bus.reconnected")

        client = Client()
        for attempt in range(60):
            try:
                await client.connect(
                    url,
                    name=name,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=1,
                    connect_timeout=2,
                    ping_interval=10,
                    allow_reconnect=True,
                    error_cb=on_error,
                    disconnected_cb=on_disconnect,
                    reconnected_cb=on_reconnect,
                )
                break
            except (TimeoutError, OSError, nats.errors.Error):
                if attempt == 59:
                    raise
                await asyncio.sleep(0.5)
        return Bus(client)

    @property
    def connected(self) -> bool:
        """Whether the server is reachable now."""
        return self._client.is_connected

    async def publish(self, subject: str, data: bytes) -> None:
        """Tell whoever listens now; nothing is kept. Raises `BusUnavailable`."""
        try:
            await self._client.publish(subject, data)
            await self._confirm(timeout_s=2)
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailable(str(error)) from error

    async def hint(self, subject: str, data: bytes = b"") -> None:
        """Tell whoever listens that there is something to do or to ask about; whether it arrives is not looked at."""
        with suppress(nats.errors.Error):
            await self._client.publish(subject, data)

    async def subscribe(self, subject: str, handler: Handler) -> None:
        """Call `handler` with every payload on `subject` from now on."""

        async def on_message(msg: Msg) -> None:
            await handler(msg.data)

        await self._client.subscribe(subject, cb=on_message)
        await self._confirm(timeout_s=5)

    async def _confirm(self, timeout_s: int) -> None:
        # A flush writes its PING past the commands that wait in the client's buffer, so its PONG may come before the
        # server has seen them. By then they are on the wire, in front of a second PING.
        await self._client.flush(timeout=timeout_s)
        await self._client.flush(timeout=timeout_s)

    async def ensure_stream(self, spec: StreamSpec) -> None:
        """Create or update a durable stream. Raises `BusUnavailable`."""
        config = StreamConfig(
            name=spec.name,
            subjects=spec.subjects,
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=spec.replicas,
            max_age=spec.max_age_s,
            max_bytes=spec.max_bytes,
            max_msg_size=spec.max_message_bytes,
            duplicate_window=spec.duplicate_window_s,
            deny_delete=True,
            deny_purge=True,
        )
        for attempt in range(_FORMING_ATTEMPTS):
            try:
                await self._put_stream(config)
            except (nats.errors.Error, TimeoutError) as error:
                if attempt == _FORMING_ATTEMPTS - 1:
                    raise BusUnavailable(str(error) or type(error).__name__) from error
                await asyncio.sleep(1)  # a cluster that is still electing its leader
            else:
                return

    async def _put_stream(self, config: StreamConfig) -> None:
        try:
            await self._js.add_stream(config)
        except nats.js.errors.BadRequestError:
            await self._js.update_stream(config)

    async def append(self, subject: str, data: bytes, message_id: str) -> bool:
        """Store a message durably and wait for the server's word.

        True means it had been stored before under this id. Raises `BusUnavailable` when no word came: the caller
        sends again with the same id.
        """
        try:
            ack = await self._js.publish(
                subject, data, timeout=5, headers={"Nats-Msg-Id": message_id}
            )
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailable(str(error) or type(error).__name__) from error
        return bool(ack.duplicate)

    async def consumer(self, stream: str, durable: str, subject: str) -> Consumer:
        """A durable consumer that redelivers without limit: money is never dropped by a counter.

        One that is there already gets these settings. Raises `BusUnavailable`.
        """
        config = ConsumerConfig(
            durable_name=durable,
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=60,
            max_ack_pending=16,
            max_deliver=-1,
        )
        try:
            await self._js.add_consumer(stream, config)
            subscription = await self._js.pull_subscribe_bind(consumer=durable, stream=stream)
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailable(str(error) or type(error).__name__) from error
        consumer = Consumer(subscription)
        self._consumers = [*(each for each in self._consumers if each.is_open), consumer]
        return consumer

    async def close(self) -> None:
        """Send what is pending and disconnect."""
        if self._client.is_closed:
            return
        try:
            async with asyncio.timeout(5):
                for consumer in self._consumers:
                    # drain() would wait for what they fetched until its time is up
                    await consumer.close()
                await self._client.drain()
        except (nats.errors.Error, TimeoutError):
            await self._client.close()
