"""From a request to what is sent: where, which path, which bytes, and how the answer is treated."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from aibridge_common.dialect import Dialect, Endpoint, Operation
from aibridge_common.errors import InvalidRequest, NotFound
from aibridge_router.canonical.content import Data
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.state import MARKS
from aibridge_router.catalog.registry import Registry, Target
from aibridge_router.dialects.peek import Head, peek, peek_gemini
from aibridge_router.dialects.splice import ask_for_usage, rename_model
from aibridge_router.exchange.carriage import Carriage
from aibridge_router.exchange.passthrough import Passthrough
from aibridge_router.exchange.translate import translate

METERED_PASSTHROUGH = frozenset({"/embeddings", "/completions"})
"""Native OpenAI paths whose answers state their usage. What cannot be metered cannot be sold by the token."""

NOTHING_FETCHED: Mapping[str, Data] = MappingProxyType({})

_COMPATIBLE_DIALECTS = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})


class Plan(Struct, frozen=True, kw_only=True):
    """Everything decided about an exchange before anything is sent."""

    head: Head
    target: Target
    dialect: Dialect
    """The one that the client speaks."""
    path: str
    body: bytes
    bearer: bool
    carriage: Carriage


def plan_exchange(
    endpoint: Endpoint,
    registry: Registry,
    body: bytes,
    query: bytes,
    fetched: Mapping[str, Data] = NOTHING_FETCHED,
) -> Plan:
    """Decide how to serve a request.

    Raises `InvalidRequest`, `ModelNotFound`, `NotFound`, `Unavailable`; `FetchFirst` when content must be fetched.
    """
    dialect = endpoint.dialect
    if dialect is Dialect.GEMINI_GENERATE:
        head = peek_gemini(body, endpoint.model or "", stream=bool(endpoint.stream))
    else:
        head = peek(dialect, body)
    if endpoint.native:
        _refuse_foreign(registry, head)
    if endpoint.operation is Operation.PASSTHROUGH:
        return _plan_passthrough(endpoint, registry, head, body)
    if dialect is None:
        raise NotFound("nothing is served at this path")
    target = registry.target(head.model)
    upstream = target.dialect_for(dialect)
    carriage: Carriage
    if upstream is dialect and not _carries_foreign_state(dialect, body):
        body = _spliced(body, dialect, head, target)
        carriage = Passthrough(
            dialect=dialect,
            names_provider=dialect is Dialect.OPENAI_CHAT and not endpoint.native,
            hides_usage=not head.usage_asked,
        )
    elif endpoint.native:
        raise InvalidRequest(f"{target.model.id} does not speak this dialect", param="model")
    else:
        carriage, body = translate(dialect, upstream, body, head, _profile(target), fetched)
    return Plan(
        head=head,
        target=target,
        dialect=dialect,
        path=_path(target, upstream, head, b"alt=sse" if upstream is not dialect else query),
        body=body,
        bearer=_is_compatibility(target, upstream),
        carriage=carriage,
    )


def _carries_foreign_state(dialect: Dialect, body: bytes) -> bool:
    """Whether a client gives back state of a vendor it was converted from; its own vendor would refuse the request.

    Such a body goes through the hub, which leaves that state out.
    """
    mark = MARKS.get(dialect)
    return mark is not None and mark in body


def _profile(target: Target) -> Profile:
    model = target.model
    return Profile(
        provider=target.provider.name,
        upstream_model=target.upstream_model,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        capabilities=model.capabilities,
    )


def _plan_passthrough(endpoint: Endpoint, registry: Registry, head: Head, body: bytes) -> Plan:
    if endpoint.rest not in METERED_PASSTHROUGH:
        raise NotFound(f"/v1/openai{endpoint.rest} is not served: its use cannot be metered")
    if head.stream:
        raise InvalidRequest("stream is not served on this path", param="stream")
    target = registry.target(head.model)
    chat_path = target.provider.paths[Dialect.OPENAI_CHAT]
    if target.upstream_model != head.model:
        body = rename_model(body, target.upstream_model)
    return Plan(
        head=head,
        target=target,
        dialect=Dialect.OPENAI_CHAT,
        path=chat_path.removesuffix("/chat/completions") + endpoint.rest,
        body=body,
        bearer=True,
        carriage=Passthrough(dialect=Dialect.OPENAI_CHAT),
    )


def _refuse_foreign(registry: Registry, head: Head) -> None:
    """`/v1/openai/*` never leaves the OpenAI protocol."""
    model = registry.find(head.model)
    if set(registry.provider_of(model).paths) - _COMPATIBLE_DIALECTS:
        raise InvalidRequest(
            f"{model.id} is not an OpenAI model; use /v1/chat/completions for it", param="model"
        )


def _spliced(body: bytes, dialect: Dialect, head: Head, target: Target) -> bytes:
    if dialect is not Dialect.GEMINI_GENERATE and target.upstream_model != head.model:
        body = rename_model(body, target.upstream_model)
    if dialect is Dialect.OPENAI_CHAT and not head.usage_asked:
        body = ask_for_usage(body, head)
    return body


def _path(target: Target, dialect: Dialect, head: Head, query: bytes) -> str:
    path = target.provider.paths[dialect]
    if dialect is Dialect.GEMINI_GENERATE:
        verb = "streamGenerateContent" if head.stream else "generateContent"
        path = path.replace("{model}", target.upstream_model).replace("{verb}", verb)
        return path + ("?alt=sse" if b"alt=sse" in query else "")
    if dialect is Dialect.ANTHROPIC_MESSAGES and b"beta=true" in query:
        return path + "?beta=true"
    return path


def _is_compatibility(target: Target, dialect: Dialect) -> bool:
    return dialect in _COMPATIBLE_DIALECTS and bool(
        set(target.provider.paths) - _COMPATIBLE_DIALECTS
    )
