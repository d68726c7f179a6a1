"""`aibridge-dev up --with-llm` as far as it can be seen without running it."""

import os
from pathlib import Path

import pytest

from aibridge_common.catalog import load_catalog, shipped_catalog_path
from aibridge_common.dialect import Dialect
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.llm import MODEL, PROVIDER, with_llm
from aibridge_devstack.vendors import read_vendors
from aibridge_tinyllm.ask import OUTPUT_TOKENS_MAX

URL = "http://127.0.0.1:20001"


def test_the_shipped_catalogue_gains_one_model(tmp_path: Path) -> None:
    before = load_catalog(shipped_catalog_path())
    after = load_catalog(with_llm(shipped_catalog_path(), kept=tmp_path / "c.toml", url=URL))
    provider, model = after.providers[-1], after.models[-1]

    assert after.providers[:-1] == before.providers
    assert after.models[:-1] == before.models
    assert (after.chains, after.products) == (before.chains, before.products)
    assert (provider.name, provider.base_url) == (PROVIDER, URL)
    assert list(provider.paths) == [Dialect.OPENAI_CHAT]
    assert (model.id, model.max_output_tokens) == (MODEL, OUTPUT_TOKENS_MAX)


def test_its_provider_is_real(tmp_path: Path) -> None:
    combined = with_llm(shipped_catalog_path(), kept=tmp_path / "c.toml", url=URL)
    assert [vendor.answers for vendor in read_vendors(combined, {})] == [*["sandbox"] * 3, "real"]


def test_it_is_written_only_when_it_changes(tmp_path: Path) -> None:
    """The file's time is part of what decides whether to seed again."""
    kept = tmp_path / "c.toml"
    with_llm(shipped_catalog_path(), kept=kept, url=URL)
    os.utime(kept, (1, 1))
    with_llm(shipped_catalog_path(), kept=kept, url=URL)
    same = kept.stat().st_mtime
    with_llm(shipped_catalog_path(), kept=kept, url=URL + "1")

    assert same == 1
    assert kept.stat().st_mtime > 1
    assert f'base_url = "{URL}1"' in kept.read_text()


def test_a_catalogue_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="cannot be read"):
        with_llm(tmp_path / "missing.toml", kept=tmp_path / "c.toml", url=URL)
