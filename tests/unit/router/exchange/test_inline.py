"""Addresses become content before a vendor that does not fetch sees them."""

import pytest

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Block, Data, Document, Image, Text, ToolResult, Url
from aibridge_router.canonical.request import Request, Turn
from aibridge_router.exchange.inline import FetchFirst, with_content

PICTURE = Image(source=Url(url="https://example.com/a.png"))
PAPER = Document(source=Url(url="https://example.com/a.pdf"))
CONTENT = Data(media_type="image/png", base64="AAAA")


def asked(*blocks: Block) -> Request:
    return Request(model="m", turns=[Turn(role="user", blocks=[Text(text="see"), *blocks])])


def test_what_must_be_fetched_is_named_once() -> None:
    with pytest.raises(FetchFirst) as caught:
        with_content(asked(PICTURE, PICTURE, PAPER), Dialect.GEMINI_GENERATE, {})

    assert {"https://example.com/a.png", "https://example.com/a.pdf"} == caught.value.urls


def test_content_stands_where_the_address_stood() -> None:
    filled = with_content(
        asked(PICTURE), Dialect.GEMINI_GENERATE, {"https://example.com/a.png": CONTENT}
    )

    assert Image(source=CONTENT) == filled.turns[0].blocks[1]


def test_also_inside_tool_results() -> None:
    result = ToolResult(call_id="1", blocks=[PICTURE])
    filled = with_content(
        asked(result), Dialect.GEMINI_GENERATE, {"https://example.com/a.png": CONTENT}
    )

    assert ToolResult(call_id="1", blocks=[Image(source=CONTENT)]) == filled.turns[0].blocks[1]


@pytest.mark.parametrize(
    ("dialect", "block"),
    [
        (Dialect.ANTHROPIC_MESSAGES, PICTURE),
        (Dialect.ANTHROPIC_MESSAGES, PAPER),
        (Dialect.OPENAI_RESPONSES, PAPER),
        (Dialect.OPENAI_CHAT, PICTURE),
    ],
)
def test_a_vendor_that_fetches_by_itself_gets_the_address(dialect: Dialect, block: Block) -> None:
    request = asked(block)

    assert request is with_content(request, dialect, {})
