"""A stored catalogue of four models at two providers, and how a test changes and follows it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from aibridge_common.catalog import Catalog, load_catalog
from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.catalog.registry import Registry

FOLLOWED_WITHIN_S = 2.0
PASSWORD = "hush-hush"
CATALOG = """
[[providers]]
name = "acme"
base_url = "https://acme.test"
keys = ["k"]
paths = { openai_chat = "/v1/chat/completions" }

[[providers]]
name = "bound"
base_url = "https://bound.test"
keys = ["k"]
paths = { openai_chat = "/v1/chat/completions" }
egresses = ["fixed"]

[[egresses]]
name = "fixed"
url = "http://ann:hush-hush@fixed.test:3128"
"""
MODEL = """
[[models]]
id = "{id}"
title = "M"
provider = "acme"
context_tokens = 1000
max_output_tokens = 100
multipliers = { input = "1", output = "4" }
"""
MODELS = ["m1", "m2", "m3", "acme/m4"]
JSON = {"content-type": "application/json"}


async def follows(catalog: CatalogRefresh, holds: Callable[[Registry], bool]) -> None:
    async with asyncio.timeout(FOLLOWED_WITHIN_S):
        while catalog.registry is None or not holds(catalog.registry):  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(0.01)


def catalogue(path: Path) -> Catalog:
    path.write_text(CATALOG + "".join(MODEL.replace("{id}", name) for name in MODELS))
    return load_catalog(path)


async def put(http: httpx.AsyncClient, path: str, body: Any) -> dict[str, Any]:
    answer = await http.put(f"/v1/admin/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()
