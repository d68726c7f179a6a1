"""The documentation of conversion comes from the code."""

from pathlib import Path

from aibridge_router.dialects.page import conversion_page

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "conversion.md"


def test_the_page_in_the_docs_is_the_codes_own() -> None:
    """`make docs` writes it."""
    assert conversion_page() == PAGE.read_text(encoding="utf-8")


def test_every_dialect_has_a_column_and_text_is_kept_everywhere() -> None:
    rows = {line.split(" | ")[0]: line for line in conversion_page().splitlines()}

    assert rows["| text"] == "| text | kept | kept | kept | kept | kept |"
