"""Puts content in the place of addresses, for vendors that do not fetch."""

from collections.abc import Iterator, Mapping

from msgspec import structs

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Block, Data, Document, Image, ToolResult, Url
from aibridge_router.canonical.request import Request

_TAKES_CONTENT_ONLY: dict[Dialect, tuple[type[Image | Document], ...]] = {
    Dialect.GEMINI_GENERATE: (Image, Document),
    Dialect.OPENAI_CHAT: (Document,),
}


class FetchFirst(Exception):
    """The request points to content that its vendor will not fetch; plan it again with what is behind `urls`."""

    def __init__(self, urls: frozenset[str]) -> None:
        super().__init__("content must be fetched first")
        self.urls = urls


def with_content(request: Request, upstream: Dialect, fetched: Mapping[str, Data]) -> Request:
    """The request without addresses that `upstream` does not take. Raises `FetchFirst` for those not yet fetched."""
    kinds = _TAKES_CONTENT_ONLY.get(upstream, ())
    urls = frozenset(
        url
        for turn in request.turns
        for block in _flat(turn.blocks)
        if (url := _url_of(block, kinds)) is not None
    )
    if not urls:
        return request
    if missing := urls - fetched.keys():
        raise FetchFirst(missing)
    turns = [
        structs.replace(turn, blocks=[_filled(block, kinds, fetched) for block in turn.blocks])
        for turn in request.turns
    ]
    return structs.replace(request, turns=turns)


def _flat(blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, ToolResult):
            yield from block.blocks


def _url_of(block: Block, kinds: tuple[type[Image | Document], ...]) -> str | None:
    if isinstance(block, Image | Document) and isinstance(block, kinds):
        return block.source.url if isinstance(block.source, Url) else None
    return None


def _filled(
    block: Block, kinds: tuple[type[Image | Document], ...], fetched: Mapping[str, Data]
) -> Block:
    if isinstance(block, ToolResult):
        inner = [_filled(part, kinds, fetched) for part in block.blocks]
        return structs.replace(block, blocks=inner)
    url = _url_of(block, kinds)
    return block if url is None else structs.replace(block, source=fetched[url])
