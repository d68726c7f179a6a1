"""The catalogue file is read whole or refused with the place that is wrong."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.catalog import (
    InvalidCatalog,
    MultiplierTexts,
    Product,
    Provider,
    load_catalog,
    shipped_catalog_path,
)
from aibridge_common.dialect import Dialect
from aibridge_common.usage import MICROTOKENS_PER_TOKEN

PROVIDER = """
[[providers]]
name = "acme"
base_url = "https://acme.test"
paths = { openai_chat = "/v1/chat/completions" }
"""
MODEL = """
[[models]]
id = "m1"
title = "M 1"
provider = "acme"
aliases = ["m1-latest"]
context_tokens = 1000
max_output_tokens = 100
multipliers = { input = "1", output = "4" }
"""
OTHER = MODEL.replace("m1", "m2")


def load(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "catalog.toml"
    path.write_text(text, encoding="utf-8")
    return load_catalog(path)


class TestShipped:
    def test_loads(self) -> None:
        catalog = load_catalog(shipped_catalog_path())

        assert catalog.providers
        assert catalog.products
        assert {model.provider for model in catalog.models} <= {p.name for p in catalog.providers}

    def test_has_no_literal_key(self) -> None:
        """What ships names variables, never a credential."""
        keys = [key for p in load_catalog(shipped_catalog_path()).providers for key in p.keys]

        assert [key for key in keys if not key.startswith("env:")] == []

    def test_every_model_can_be_reached(self) -> None:
        """Its provider speaks a dialect, over TLS."""
        providers = {p.name: p for p in load_catalog(shipped_catalog_path()).providers}

        assert all(p.paths and p.base_url.startswith("https://") for p in providers.values())

    def test_prices_are_in_order(self) -> None:
        """A slip of the decimal point in the price list stands out."""
        for model in load_catalog(shipped_catalog_path()).models:
            prices = model.priced.microtokens()

            assert 0 < prices.cache_read < prices.input <= prices.cache_write_5m
            assert prices.output == 0 or prices.input < prices.output <= 100_000_000


class TestLoad:
    def test_good(self, tmp_path: Path) -> None:
        catalog = load(
            tmp_path, PROVIDER + MODEL + OTHER + '[[chains]]\nmodel = "m1"\nbackups = ["m2"]'
        )

        assert [model.id for model in catalog.models] == ["m1", "m2"]
        assert catalog.chains[0].backups == ["m2"]

    @pytest.mark.parametrize(
        ("text", "reason", "param"),
        [
            (MODEL, "providers", None),
            (PROVIDER + MODEL.replace('"acme"', '"nobody"'), "unknown provider nobody", "models"),
            (PROVIDER + PROVIDER + MODEL, "acme stands there twice", "providers.name"),
            (PROVIDER + MODEL + MODEL, "m1 stands there twice", "models.id"),
            (
                PROVIDER + MODEL + OTHER.replace("m2-latest", "m1-latest"),
                "m1-latest stands there twice",
                "models.id",
            ),
            (
                PROVIDER + MODEL + OTHER.replace("m2-latest", "m1"),
                "m1 stands there twice",
                "models.id",
            ),
            (
                PROVIDER + MODEL.replace('"4"', '"0.0000001"'),
                "model m1: '0.0000001' has more than six decimal places",
                "models.multipliers",
            ),
            (PROVIDER + MODEL.replace('"4"', '"four"'), "'four' is not a decimal", "models"),
            (PROVIDER + MODEL.replace('"4"', '""'), "'' is not a decimal", "models"),
            (PROVIDER + MODEL.replace('"4"', '"NaN"'), "model m1: ", "models.multipliers"),
            (PROVIDER + MODEL.replace('"4"', '"sNaN"'), "model m1: ", "models.multipliers"),
            (PROVIDER + MODEL.replace('"4"', '"Infinity"'), "model m1: ", "models.multipliers"),
            (PROVIDER + MODEL.replace('"4"', '"-1"'), "multiplier output must", "models"),
            (PROVIDER + MODEL.replace('"4"', '"1001"'), "multiplier output must", "models"),
            (PROVIDER + MODEL.replace('"4"', "4.0"), "str", None),
            (
                PROVIDER + MODEL + '[[chains]]\nmodel = "m1"\nbackups = ["m9"]',
                "chain of m1 names the unknown model m9",
                "chains",
            ),
            (
                PROVIDER + MODEL + '[[chains]]\nmodel = "m9"\nbackups = ["m1"]',
                "unknown model m9",
                "chains",
            ),
            (
                PROVIDER + MODEL + '[[chains]]\nmodel = "m1"\nbackups = ["m1"]',
                "comes back to m1",
                "chains.backups",
            ),
            (
                PROVIDER + MODEL + '[[chains]]\nmodel = "m1"\nbackups = []\n' * 2,
                "m1 stands there twice",
                "chains.model",
            ),
            (PROVIDER + MODEL.replace("title", "titel"), "titel|title", None),
            (PROVIDER.replace("base_url", "url") + MODEL, "url", None),
            (PROVIDER.replace("openai_chat", "openai_chta") + MODEL, "openai_chta", None),
            (PROVIDER + MODEL.replace("1000", "0"), "context_tokens", None),
            (PROVIDER + MODEL.replace('id = "m1"', 'id = ""'), "id", None),
            (PROVIDER + MODEL.replace('id = "m1"', 'id = "m 1"'), "id", None),
            (PROVIDER + MODEL + "[[prices]]", "prices", None),
            ("[[providers]", "catalog.toml", None),
            ("", "providers", None),
        ],
    )
    def test_bad(self, tmp_path: Path, text: str, reason: str, param: str | None) -> None:
        """The message names what is wrong, the parameter the part of the file."""
        with pytest.raises(InvalidCatalog, match=reason) as caught:
            load(tmp_path, text)

        assert (caught.value.param or "").startswith(param or "")

    def test_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidCatalog, match=r"none\.toml: No such file"):
            load_catalog(tmp_path / "none.toml")

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.toml"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(InvalidCatalog, match=r"catalog\.toml"):
            load_catalog(path)

    @pytest.mark.parametrize(
        "product",
        [
            'id = "p"\ntitle = "P"\ntokens = 0\nprice_minor = 1\ncurrency = "EUR"',
            'id = "p"\ntitle = "P"\ntokens = 1\nprice_minor = -1\ncurrency = "EUR"',
            'id = "p"\ntitle = "P"\ntokens = 1\nprice_minor = 1\ncurrency = "euro"',
            'id = "p"\ntitle = "P"\ntokens = 1\nprice_minor = 1.5\ncurrency = "EUR"',
        ],
    )
    def test_bad_product(self, tmp_path: Path, product: str) -> None:
        with pytest.raises(InvalidCatalog, match="products"):
            load(tmp_path, PROVIDER + MODEL + "[[products]]\n" + product)


class TestMultiplierTexts:
    @given(st.integers(1, 1_000_000_000))
    def test_exact(self, micro: int) -> None:
        """Every price of at most six places comes out as it was written."""
        text = f"{micro // MICROTOKENS_PER_TOKEN}.{micro % MICROTOKENS_PER_TOKEN:06d}"
        prices = MultiplierTexts(
            input="0",
            output=text,
            cache_read=text,
            cache_write_5m=text,
            cache_write_1h=text,
            reasoning=text,
        ).microtokens()

        assert prices.output == prices.cache_read == prices.cache_write_5m == micro
        assert prices.cache_write_1h == prices.reasoning == micro

    def test_usual_ratios(self) -> None:
        """What the file leaves out follows the input price; reasoning costs as output."""
        prices = MultiplierTexts(input="2", output="8").microtokens()

        assert (prices.cache_read, prices.cache_write_5m) == (200_000, 2_500_000)
        assert (prices.cache_write_1h, prices.reasoning) == (4_000_000, 8_000_000)

    def test_zero_is_a_price(self) -> None:
        prices = MultiplierTexts(input="1", output="1", cache_read="0").microtokens()

        assert prices.cache_read == 0


class TestProvider:
    def test_resolved_keys(self) -> None:
        """Literal keys as they are, variables looked up, unset ones left out."""
        provider = Provider(
            name="acme",
            base_url="https://acme.test",
            paths={Dialect.OPENAI_CHAT: "/v1"},
            keys=["literal", "env:SET", "env:UNSET", "env:EMPTY", ""],
        )

        assert provider.resolved_keys({"SET": "found", "EMPTY": ""}) == ["literal", "found"]


def test_product_grants_microtokens() -> None:
    product = Product(id="p", title="P", tokens=5, price_minor=1, currency="EUR")

    assert product.grant_microtokens == 5_000_000
