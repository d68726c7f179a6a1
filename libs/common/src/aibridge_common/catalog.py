"""The catalogue file: providers, models, chains and products as one TOML document.

The shipped `catalog.toml` is the documented example. It is read at seed time only; afterwards the rows in the
services' databases are the truth.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_common.proxy import Proxy
from aibridge_common.usage import MICROTOKENS_PER_TOKEN, Multipliers

Name = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]
Authentication = Literal["bearer", "x-api-key", "x-goog-api-key"]
Timeout = Annotated[float, Meta(gt=0, le=3600)]
Title = Annotated[str, Meta(max_length=200)]
UrlPath = Annotated[str, Meta(max_length=300, pattern=r"^/[!-~]*$")]
HeaderName = Annotated[str, Meta(max_length=100, pattern=r"^[A-Za-z0-9-]+$")]
HeaderValue = Annotated[str, Meta(max_length=1000, pattern=r"^[ -~]*$")]

FIRST_CONTENT_S = 30.0
FIRST_CONTENT_OF_REASONING_S = 120.0


class InvalidCatalog(InvalidRequest):
    """The catalogue file breaks a rule; `param` is the place."""

    code = "invalid_catalog"


class ProviderFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of who hosts models.

    `paths` maps each dialect the provider speaks to its endpoint's path under `base_url`; `{model}` and `{verb}` stand
    for Gemini's. `egresses` are those of the pool that its traffic may leave by; none named means all of them.
    """

    title: Title = ""
    base_url: Annotated[
        str,
        Meta(max_length=300, pattern=r"^https?://[!-~]+$", examples=["https://api.anthropic.com"]),
    ]
    auth: Authentication = "bearer"
    paths: Annotated[
        dict[Dialect, UrlPath],
        Meta(min_length=1, examples=[{"anthropic_messages": "/v1/messages"}]),
    ]
    count_tokens_path: UrlPath | None = None
    headers: Annotated[dict[HeaderName, HeaderValue], Meta(max_length=20)] = {}
    egresses: list[Name] = []


class Provider(ProviderFacts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same with its name. `keys` are literal or `env:NAME`, and only in a file."""

    name: Name
    keys: list[str] = []

    def resolved_keys(self, environ: Mapping[str, str]) -> list[str]:
        """The keys that can be used, with `env:NAME` looked up; unset ones are left out."""
        return [value for key in self.keys if (value := resolved(key, environ))]


class Capabilities(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model tolerates: facts of one model, asked for by conversion instead of its name.

    `reasoning` is how it is told to think: not at all, by budget (Anthropic's manual, Gemini 2.5), adaptive with an
    effort (Anthropic), by effort (OpenAI), by level (Gemini 3).
    """

    sampling: bool = True
    reasoning: Literal["none", "budget", "adaptive", "effort", "level"] = "none"
    efforts: tuple[str, ...] = ("low", "medium", "high")
    tools: bool = True
    vision: bool = True
    documents: bool = True
    audio: bool = False
    structured: Literal["native", "tool", "json_only"] = "native"
    system_mid: bool = False
    prefill: bool = True
    stop_max: int = 4


class MultiplierTexts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Multipliers as decimal strings ("1.25" plan tokens per provider token): exact, never floats.

    What is left out follows the vendors' usual ratios to input: cache read 0.1, cache write 1.25 (5 m) and 2 (1 h);
    reasoning counts as output.
    """

    input: str
    output: str
    cache_read: str | None = None
    cache_write_5m: str | None = None
    cache_write_1h: str | None = None
    reasoning: str | None = None

    def microtokens(self) -> Multipliers:
        """As integers. Raises ValueError for what is not a decimal with at most six places."""
        fresh, answer = _micro(self.input), _micro(self.output)
        return Multipliers(
            input=fresh,
            output=answer,
            cache_read=_micro(self.cache_read) if self.cache_read else fresh // 10,
            cache_write_5m=_micro(self.cache_write_5m) if self.cache_write_5m else fresh * 5 // 4,
            cache_write_1h=_micro(self.cache_write_1h) if self.cache_write_1h else fresh * 2,
            reasoning=_micro(self.reasoning) if self.reasoning else answer,
        )


class Sibling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same model at another provider, tried before any other model is; charged at the same multipliers."""

    provider: Name
    upstream_model: str | None = None
    dialect: Dialect | None = None


class ModelFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model without its name and price; `upstream_model` is what its provider calls it, where that differs.

    `dialect` is the one it is spoken to in when a request must be converted; the provider's first where it is not said.

    How long an attempt may take: to connect; until the answer begins (a whole answer begins when it is finished);
    until a stream's first content, None for 30 s or 120 s where the model reasons; between frames; altogether.
    """

    title: Title
    provider: Name
    upstream_model: Name | None = None
    aliases: list[Name] = []
    strength: Title = ""
    status: Literal["recommended", "available", "backup"] = "available"
    context_tokens: Annotated[int, Meta(ge=1, le=100_000_000)]
    max_output_tokens: Annotated[int, Meta(ge=1, le=10_000_000)]
    dialect: Dialect | None = None
    capabilities: Capabilities = Capabilities()
    siblings: list[Sibling] = []
    connect_timeout_s: Timeout = 3.0
    headers_timeout_s: Timeout = 300.0
    first_content_timeout_s: Timeout | None = None
    idle_timeout_s: Timeout = 60.0
    total_timeout_s: Timeout = 600.0

    @property
    def first_content_s(self) -> float:
        """How long a stream may take until its first content."""
        if self.first_content_timeout_s is not None:
            return self.first_content_timeout_s
        reasons = self.capabilities.reasoning != "none"
        return FIRST_CONTENT_OF_REASONING_S if reasons else FIRST_CONTENT_S


class Model(ModelFacts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as customers name it. `multipliers` stand in a file; of what runs, billing has them, dated."""

    id: Name
    multipliers: MultiplierTexts | None = None

    @property
    def priced(self) -> MultiplierTexts:
        """The multipliers of a model in a file. Raises `InvalidCatalog`."""
        if self.multipliers is None:
            raise InvalidCatalog(f"model {self.id} needs multipliers", param="models.multipliers")
        return self.multipliers


class Chain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models stand in, in order, when `model` cannot answer."""

    model: Name
    backups: list[Name]


class Egress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way out to the vendors: `direct`, or a proxy.

    `url` is `direct`, `http://[user:password@]host:port`, `socks5://…`, or `env:NAME` that holds one of these.
    A draining one takes no new requests.
    """

    name: Name
    url: str
    state: Literal["active", "draining", "off"] = "active"


class Routing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for every request: whether one may be served by another model, and after how many calls it ends."""

    failover: bool = True
    attempts_max: Annotated[int, Meta(ge=1, le=20)] = 5


class Product(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token plan for sale; price in the currency's minor unit."""

    id: Name
    title: str
    tokens: Annotated[int, Meta(ge=1, le=1_000_000_000_000)]
    price_minor: Annotated[int, Meta(ge=0, le=10_000_000_000)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]

    @property
    def grant_microtokens(self) -> int:
        """What the plan puts into a wallet."""
        return self.tokens * MICROTOKENS_PER_TOKEN


class Catalog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole document."""

    providers: list[Provider]
    models: list[Model]
    chains: list[Chain] = []
    egresses: list[Egress] = []
    routing: Routing = Routing()
    products: list[Product] = []


def shipped_catalog_path() -> Path:
    """The catalogue that comes with the product."""
    return Path(__file__).with_name("catalog.toml")


def load_catalog(path: Path) -> Catalog:
    """Read and check a catalogue file. Raises `InvalidCatalog` naming the place that is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidCatalog(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidCatalog(f"{path}: {error}") from None
    try:
        catalog = msgspec.convert(document, Catalog)
    except msgspec.ValidationError as error:
        raise InvalidCatalog(f"{path}: {error}") from None
    check_catalog(catalog)
    for model in catalog.models:
        try:
            model.priced.microtokens()
        except ValueError as error:
            raise InvalidCatalog(f"model {model.id}: {error}", param="models.multipliers") from None
    spoken = {provider.name: next(iter(provider.paths)) for provider in catalog.providers}
    models = [
        model if model.dialect else msgspec.structs.replace(model, dialect=spoken[model.provider])
        for model in catalog.models
    ]
    return msgspec.structs.replace(catalog, models=models)


def keys_for(provider: Provider) -> list[str]:
    """The provider's keys with those of this process's environment."""
    return provider.resolved_keys(os.environ)


def resolved(value: str, environ: Mapping[str, str]) -> str:
    """`value`, or what the variable holds that it names as `env:NAME`; empty where that is not set."""
    return environ.get(value.removeprefix("env:"), "") if value.startswith("env:") else value


def check_catalog(catalog: Catalog) -> None:
    """Raise `InvalidCatalog` naming the first place that breaks a rule."""
    _unique("providers.name", [provider.name for provider in catalog.providers])
    names = [model.id for model in catalog.models]
    _unique("models.id", names + [alias for model in catalog.models for alias in model.aliases])
    _unique("products.id", [product.id for product in catalog.products])
    spoken = {provider.name: provider.paths for provider in catalog.providers}
    for model in catalog.models:
        _check_host(model, "models", model.provider, model.dialect, spoken)
        for sibling in model.siblings:
            _check_host(model, "models.siblings", sibling.provider, sibling.dialect, spoken)
        _unique(
            f"models[{model.id}].siblings.provider",
            [model.provider, *(sibling.provider for sibling in model.siblings)],
        )
    _unique("chains.model", [chain.model for chain in catalog.chains])
    for chain in catalog.chains:
        check_chain(chain, names)
    ways_out = _unique("egresses.name", [egress.name for egress in catalog.egresses])
    for egress in catalog.egresses:
        check_egress_url(egress.url)
    for provider in catalog.providers:
        for name in provider.egresses:
            if name not in ways_out:
                raise InvalidCatalog(
                    f"provider {provider.name} names the unknown egress {name}",
                    param="providers.egresses",
                )


def check_chain(chain: Chain, models: Iterable[str]) -> None:
    """Raise `InvalidCatalog` for a chain with unknown models, or one that comes back to a model."""
    for place, name in [("model", chain.model), *(("backups", name) for name in chain.backups)]:
        if name not in models:
            raise InvalidCatalog(
                f"the chain of {chain.model} names the unknown model {name}",
                param=f"chains.{place}",
            )
    seen = {chain.model}
    for name in chain.backups:
        if name in seen:
            raise InvalidCatalog(
                f"the chain of {chain.model} comes back to {name}: that would be a cycle",
                param="chains.backups",
            )
        seen.add(name)


def check_name(name: str, param: str) -> str:
    """`name`, where models, plans and the like can be called so. Raises `InvalidRequest` naming `param`."""
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), param=param) from None


def check_egress_url(url: str) -> None:
    """Raise `InvalidCatalog` unless it is `direct`, `env:NAME` or a proxy; what it says never quotes a password."""
    if url == "direct" or (url.startswith("env:") and url != "env:"):
        return
    try:
        Proxy.parse(url)
    except ValueError as error:
        raise InvalidCatalog(f"{error}", param="egresses.url") from None


def _check_host(
    model: Model,
    place: str,
    provider: str,
    dialect: Dialect | None,
    spoken: Mapping[str, Mapping[Dialect, str]],
) -> None:
    if provider not in spoken:
        raise InvalidCatalog(
            f"model {model.id} names the unknown provider {provider}", param=f"{place}.provider"
        )
    if dialect is not None and dialect not in spoken[provider]:
        raise InvalidCatalog(
            f"model {model.id}: {provider} does not speak {dialect.value}", param=f"{place}.dialect"
        )


def _unique(place: str, names: list[str]) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidCatalog(f"{place}: {name} stands there twice", param=place)
        seen.add(name)
    return seen


def _micro(text: str) -> int:
    try:
        value = Decimal(text) * MICROTOKENS_PER_TOKEN
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{text!r} has more than six decimal places")
    return int(value)
