"""From what was asked to what one target is sent: which path, which bytes, and how the answer is treated."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import Data
from aibridge_router.canonical.profile import Profile
from aibridge_router.catalog.registry import Target
from aibridge_router.dialects.peek import Head
from aibridge_router.dialects.splice import (
    LEGACY_COMPLETION_LIMITS,
    ask_for_usage,
    limit_members,
    limit_output,
    rename_model,
)
from aibridge_router.exchange.asked import COMPATIBLE_DIALECTS, Asked
from aibridge_router.exchange.carriage import Carriage
from aibridge_router.exchange.passthrough import Passthrough
from aibridge_router.exchange.translate import translate

NOTHING_FETCHED: Mapping[str, Data] = MappingProxyType({})


class CannotCarry(InvalidRequest):
    """This target cannot carry the request; another may."""


class Plan(Struct, frozen=True, kw_only=True):
    """Everything decided about an attempt before anything is sent."""

    target: Target
    path: str
    body: bytes
    bearer: bool
    carriage: Carriage


def plan_attempt(
    asked: Asked,
    target: Target,
    fetched: Mapping[str, Data] = NOTHING_FETCHED,
    delivered: str = "",
    output_max: int | None = None,
) -> Plan:
    """Decide how `target` is asked, for the whole answer or for what follows `delivered`, `output_max` tokens at most.

    Raises `InvalidRequest` when it cannot carry the request: `CannotCarry` for its own reasons, `CannotSay` for its
    dialect's; `FetchFirst` when content must be fetched.
    """
    stand_in = target.model is not asked.chain.model
    if stand_in:
        _refuse_too_small(asked, target)
    if asked.passthrough:
        return _plan_passthrough(asked, target, output_max, stand_in=stand_in)
    dialect = asked.dialect
    upstream = target.dialect_for(dialect)
    if asked.endpoint.native and (
        upstream is not dialect or set(target.provider.paths) - COMPATIBLE_DIALECTS
    ):
        raise CannotCarry(f"{target.model.id} does not speak this dialect", param="model")
    carriage: Carriage
    if upstream is dialect and (asked.endpoint.native or _takes_bytes(asked, target)):
        body = _spliced(asked, target, output_max)
        carriage = Passthrough(
            dialect=dialect,
            names_provider=dialect is Dialect.OPENAI_CHAT and not asked.endpoint.native,
            hides_usage=not asked.head.usage_asked,
        )
    else:
        carriage, body = translate(
            dialect,
            upstream,
            asked.body,
            asked.head,
            _profile(target),
            fetched,
            continuable=asked.continuable,
            delivered=delivered,
            output_max=output_max,
        )
    passes = isinstance(carriage, Passthrough)
    query = asked.query if passes else b"alt=sse&" + asked.query
    return Plan(
        target=target,
        path=_path(target, upstream, asked.head, query),
        body=body,
        bearer=_is_compatibility(target, upstream),
        carriage=carriage,
    )


def _refuse_too_small(asked: Asked, target: Target) -> None:
    model = target.model
    if asked.estimated_tokens > model.context_tokens:
        raise CannotCarry(
            f"the prompt has about {asked.estimated_tokens} tokens,"
            f" {model.id} takes {model.context_tokens}"
        )


def _takes_bytes(asked: Asked, target: Target) -> bool:
    """Whether a target that speaks the client's dialect gets the bytes as they came.

    A stand-in does where it tolerates what the model that was asked for tolerates; the hub writes for any other, and
    for a stream that may have to be continued, whose state only the hub knows.
    """
    model, asked_for = target.model, asked.chain.model
    if asked.continuable or asked.carries_foreign_state:
        return False
    if model is asked_for:
        return True
    limit = asked.head.output_tokens_max or 0
    return model.capabilities == asked_for.capabilities and limit <= model.max_output_tokens


def _profile(target: Target) -> Profile:
    model = target.model
    return Profile(
        provider=target.provider.name,
        upstream_model=target.upstream_model,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        capabilities=model.capabilities,
    )


def _plan_passthrough(
    asked: Asked, target: Target, output_max: int | None, *, stand_in: bool
) -> Plan:
    if stand_in:
        raise CannotCarry(f"{target.model.id} cannot stand in on this path")
    chat_path = target.provider.paths[Dialect.OPENAI_CHAT]
    body = asked.body
    if target.upstream_model != asked.head.model:
        body = rename_model(body, target.upstream_model)
    if output_max is not None and asked.endpoint.rest == "/completions":
        body = limit_members(body, LEGACY_COMPLETION_LIMITS, output_max)
    return Plan(
        target=target,
        path=chat_path.removesuffix("/chat/completions") + asked.endpoint.rest,
        body=body,
        bearer=True,
        carriage=Passthrough(dialect=Dialect.OPENAI_CHAT),
    )


def _spliced(asked: Asked, target: Target, output_max: int | None) -> bytes:
    body, head, dialect = asked.body, asked.head, asked.dialect
    if dialect is not Dialect.GEMINI_GENERATE and target.upstream_model != head.model:
        body = rename_model(body, target.upstream_model)
    if dialect is Dialect.OPENAI_CHAT and not head.usage_asked:
        body = ask_for_usage(body, head)
    limit = target.model.max_output_tokens if output_max is None else output_max
    is_too_much = target.model is not asked.chain.model and (head.output_tokens_max or 0) > limit
    if output_max is not None or is_too_much:
        body = limit_output(body, dialect, limit)
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
    return dialect in COMPATIBLE_DIALECTS and bool(set(target.provider.paths) - COMPATIBLE_DIALECTS)
