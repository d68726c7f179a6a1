"""A body is read within its limits, and never half understood."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from aibridge_common.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from aibridge_common.internal import BODY_BYTES_MAX
from aibridge_gateway.edge import body
from aibridge_gateway.edge.body import ClientGone, check_content_type, read_body

MEBIBYTE = b"x" * 2**20


class Parts:
    """An ASGI `receive` over the parts of a body."""

    def __init__(self, parts: Iterator[bytes], *, last: bytes = b"", leaves: bool = False) -> None:
        self._parts = parts
        self._last = last
        self._leaves = leaves
        self.read_bytes = 0

    async def __call__(self) -> Any:
        part = next(self._parts, None)
        if part is not None:
            self.read_bytes += len(part)
            return {"type": "http.request", "body": part, "more_body": True}
        if self._leaves:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._last, "more_body": False}


@pytest.mark.anyio
class TestReadBody:
    async def test_parts_are_joined(self) -> None:
        assert await read_body(Parts(iter([b"a", b"", b"b"]), last=b"c")) == b"abc"

    async def test_one_part_is_the_body(self) -> None:
        assert await read_body(Parts(iter([]), last=b"{}")) == b"{}"

    async def test_there_may_be_none(self) -> None:
        async def receive() -> Any:
            return {"type": "http.request"}

        assert await read_body(receive) == b""

    async def test_32_mebibytes_are_served(self) -> None:
        assert len(await read_body(Parts(iter([MEBIBYTE] * 32)))) == BODY_BYTES_MAX

    async def test_33_are_refused_after_they_were_read(self) -> None:
        """A client that is still sending would not see the answer."""
        parts = Parts(iter([MEBIBYTE] * 33))
        with pytest.raises(PayloadTooLarge, match="32 MiB"):
            await read_body(parts)

        assert parts.read_bytes == 33 * 2**20

    async def test_an_endless_body_is_not_read_for_ever(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(body, "DISCARD_BYTES_MAX", 40 * 2**20)
        parts = Parts(iter(lambda: MEBIBYTE, b""))
        with pytest.raises(PayloadTooLarge):
            await read_body(parts)

        assert parts.read_bytes == 41 * 2**20

    @pytest.mark.parametrize("parts", [[], [b"a"], [b"a", b"b"]])
    async def test_a_client_that_leaves_gets_no_answer(self, parts: list[bytes]) -> None:
        with pytest.raises(ClientGone):
            await read_body(Parts(iter(parts), leaves=True))

    @pytest.mark.parametrize("first", [[], [b"a"]], ids=["nothing came", "a part came"])
    async def test_a_body_that_does_not_come_is_refused(
        self, first: list[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.05)
        parts = iter(first)

        async def receive() -> Any:
            part = next(parts, None)
            if part is None:
                await asyncio.sleep(10)
            return {"type": "http.request", "body": part, "more_body": True}

        with pytest.raises(InvalidRequest, match="did not arrive within"):
            async with asyncio.timeout(1):
                await read_body(receive)


class TestContentType:
    @pytest.mark.parametrize(
        "value",
        [
            b"application/json",
            b"application/json; charset=utf-8",
            b"APPLICATION/JSON",
            b"application/json ;x=y",
            b"application/vnd.api+json",
        ],
    )
    def test_json_is_served(self, value: bytes) -> None:
        check_content_type([(b"accept", b"text/html"), (b"content-type", value)])

    @pytest.mark.parametrize(
        "value", [None, b"", b"text/plain", b"multipart/form-data", b"application/jsonp", b"json"]
    )
    def test_anything_else_is_refused(self, value: bytes | None) -> None:
        headers = [] if value is None else [(b"content-type", value)]
        with pytest.raises(UnsupportedMediaType) as refusal:
            check_content_type(headers)

        assert refusal.value.param == "content-type"
