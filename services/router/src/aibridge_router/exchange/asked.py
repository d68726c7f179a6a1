"""What a client asked for, read once: whatever target serves it, these facts stay."""

from collections.abc import Sequence
from functools import cached_property

from aibridge_common.dialect import Dialect, Endpoint, Operation
from aibridge_common.errors import InvalidRequest, NotFound
from aibridge_router.canonical.state import MARKS
from aibridge_router.catalog.registry import ChainOfTargets, Registry
from aibridge_router.dialects.body import estimated_tokens
from aibridge_router.dialects.peek import Head, peek, peek_gemini

METERED_PASSTHROUGH = frozenset({"/embeddings", "/completions"})
"""Native OpenAI paths whose answers state their usage. What cannot be metered cannot be sold by the token."""

COMPATIBLE_DIALECTS = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})


class Asked:
    """A request as it came, its head, and who may serve it."""

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        head: Head,
        body: bytes,
        query: bytes,
        chain: ChainOfTargets,
        *,
        continuable: bool,
    ) -> None:
        self.endpoint = endpoint
        self.dialect = dialect
        """The one that the client speaks."""
        self.head = head
        self.body = body
        self.query = query
        self.chain = chain
        self.continuable = continuable
        """Whether a text stream that is cut may be continued by another model."""

    @property
    def passthrough(self) -> bool:
        """Whether it is served on a native path of one provider only, such as embeddings."""
        return self.endpoint.operation is Operation.PASSTHROUGH

    @cached_property
    def carries_foreign_state(self) -> bool:
        """Whether a client gives back state of a vendor it was converted from; its own vendor would refuse the request.

        Such a body goes through the hub, which leaves that state out.
        """
        mark = MARKS.get(self.dialect)
        return mark is not None and mark in self.body

    @cached_property
    def estimated_tokens(self) -> int:
        """About how long the prompt is; only asked when another model may have to stand in."""
        return estimated_tokens(self.body)


def read_asked(
    endpoint: Endpoint,
    registry: Registry,
    body: bytes,
    query: bytes,
    *,
    continuation: bool = False,
    models: Sequence[str] | None = None,
) -> Asked:
    """Read a request; `continuation` is whether its customer wants a cut text to go on, `models` what its key may use.

    Raises `InvalidRequest`, `ModelNotFound`, `NotFound`, `Forbidden`.
    """
    dialect = endpoint.dialect
    if dialect is Dialect.GEMINI_GENERATE:
        head = peek_gemini(body, endpoint.model or "", stream=bool(endpoint.stream))
    else:
        head = peek(dialect, body)
    chain = registry.chain(head.model, models)
    if endpoint.native:
        _refuse_foreign(registry, chain)
    if endpoint.operation is Operation.PASSTHROUGH:
        _refuse_unmetered(endpoint, head)
        dialect = Dialect.OPENAI_CHAT
    if dialect is None:
        raise NotFound("nothing is served at this path")
    # Native paths stay as they came, and only one answer at a time can be sewn together.
    may_be = head.stream and not endpoint.native and head.choices == 1
    return Asked(endpoint, dialect, head, body, query, chain, continuable=continuation and may_be)


def _refuse_foreign(registry: Registry, chain: ChainOfTargets) -> None:
    """`/v1/openai/*` never leaves the OpenAI protocol."""
    if set(registry.provider_of(chain.model).paths) - COMPATIBLE_DIALECTS:
        raise InvalidRequest(
            f"{chain.model.id} is not an OpenAI model; use /v1/chat/completions for it",
            param="model",
        )


def _refuse_unmetered(endpoint: Endpoint, head: Head) -> None:
    if endpoint.rest not in METERED_PASSTHROUGH:
        raise NotFound(f"/v1/openai{endpoint.rest} is not served: its use cannot be metered")
    if head.stream:
        raise InvalidRequest("stream is not served on this path", param="stream")
