"""The router's administration, as other services and tools call it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from aibridge_common.catalog import ModelFacts, Name, ProviderFacts, Timeout
from aibridge_common.structs import Command, Reply

EgressState = Literal["active", "draining", "off"]
Health = Literal["healthy", "dead", "blocked", "unreachable"]
"""Dead: the egress itself. Blocked: the vendor turns this exit away. Unreachable: only from here."""


OnFailure = Literal["go_on", "stop"]
"""What follows when a customer's own key fails: on with the operator's keys and the customer's tokens, or nothing."""

Priority = Annotated[int, Meta(ge=1, le=100, examples=[1])]


ProviderKey = Annotated[str, Meta(min_length=8, max_length=500, pattern=r"^[!-~]+$")]


class AddOwnKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer's own key; it is tested, sealed, and never shown again."""

    provider: Annotated[Name, Meta(examples=["anthropic"])]
    key: ProviderKey
    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["team key"])] = "own key"
    priority: Priority = 1
    on_failure: OnFailure = "go_on"


class ChangeOwnKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When it is tried, lowest first, and what follows when it fails."""

    priority: Priority
    on_failure: OnFailure


class OwnKeyShown(Reply, frozen=True, kw_only=True):
    """All that is ever shown of an own key; `hint` are its last characters."""

    id: UUID
    provider: str
    name: str
    hint: str
    priority: int
    on_failure: OnFailure
    created_at: datetime


class PutProvider(ProviderFacts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider in whole: what is left out is as if nobody had ever said it. Its keys are added apart."""


class ProviderShown(ProviderFacts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider as it is stored, and how many of its keys are in use."""

    name: str
    active_keys: int


class AddUpstreamKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the operator's keys. It is asked about at the provider first, unless `check` is false."""

    provider: Annotated[Name, Meta(examples=["anthropic"])]
    key: ProviderKey
    check: bool = True


class ChangeUpstreamKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a key out of use, or back into it."""

    active: bool


class UpstreamKeyShown(Reply, frozen=True, kw_only=True):
    """All that is ever shown of a key; `hint` are its last characters."""

    id: UUID
    provider: str
    hint: str
    active: bool
    created_at: datetime


class PutModel(ModelFacts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model in whole: what is left out is as if nobody had ever said it. Its price is set at billing."""


class ModelShown(ModelFacts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as it is stored."""

    id: str


class PutChain(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models stand in, in order."""

    backups: Annotated[list[Name], Meta(examples=[["gpt-4o", "gemini-2.0-pro-exp"]])]


class ModelChain(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A model and who stands in for it."""

    model: Annotated[str, Meta(examples=["claude-3-5-sonnet-20241022"])]
    backups: Annotated[list[str], Meta(examples=[["gpt-4o", "gemini-2.0-pro-exp"]])]


class PutRouting(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    failover: Annotated[bool, Meta(examples=[False])] | UnsetType = UNSET
    attempts_max: Annotated[int, Meta(ge=1, le=20, examples=[5])] | UnsetType = UNSET


class RoutingRules(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for every request."""

    failover: Annotated[bool, Meta(examples=[True])]
    attempts_max: Annotated[int, Meta(examples=[5])]


class PutEgress(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; a new egress needs its `url`."""

    url: (
        Annotated[
            str, Meta(max_length=2000, examples=["http://user:password@proxy-1.example:8080"])
        ]
        | UnsetType
    ) = UNSET
    state: Annotated[EgressState, Meta(examples=["draining"])] | UnsetType = UNSET


class Egress(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """An egress as it is stored; its credentials are readable nowhere."""

    name: Annotated[str, Meta(examples=["frankfurt-1"])]
    kind: Annotated[Literal["direct", "http", "socks5"], Meta(examples=["http"])]
    address: Annotated[str, Meta(examples=["proxy-1.example:8080"])]
    """Host and port; empty where traffic leaves directly."""
    state: Annotated[EgressState, Meta(examples=["active"])]


class ProviderHealth(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """How one provider is reached through one egress."""

    provider: Annotated[str, Meta(examples=["anthropic"])]
    health: Annotated[Health, Meta(examples=["healthy"])]
    since_s: Annotated[float, Meta(examples=[12.5])]
    """For how long it has been so."""
    next_probe_in_s: Annotated[float | None, Meta(examples=[None])]
    """When it may serve again if it can by then; None while it is healthy."""
    served: Annotated[int, Meta(examples=[1042])]
    failed: Annotated[int, Meta(examples=[3])]


class EgressStatus(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """An egress as one router sees it; counted since that router started."""

    name: Annotated[str, Meta(examples=["frankfurt-1"])]
    kind: Annotated[Literal["direct", "http", "socks5"], Meta(examples=["http"])]
    address: Annotated[str, Meta(examples=["proxy-1.example:8080"])]
    state: Annotated[Literal["active", "draining", "drained", "off"], Meta(examples=["active"])]
    """Drained: draining, and nothing runs through it any more."""
    health: Annotated[Health, Meta(examples=["healthy"])]
    """The egress's own: healthy or dead."""
    running: Annotated[int, Meta(examples=[7])]
    served: Annotated[int, Meta(examples=[1042])]
    failed: Annotated[int, Meta(examples=[3])]
    providers: list[ProviderHealth]


class EgressReport(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The pool as the router sees it that answers; each has its own view."""

    router: Annotated[str, Meta(examples=["router-0"])]
    egresses: list[EgressStatus]


class WayStatus(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A key at a provider for a model, as one router sees it."""

    provider: Annotated[str, Meta(examples=["anthropic"])]
    key_id: UUID
    model: Annotated[str, Meta(examples=["claude-3-5-sonnet-20241022"])]
    state: Annotated[str, Meta(examples=["open"])]
    """Its circuit: closed, open or half-open."""
    reason: Annotated[str, Meta(examples=["circuit open"])] = ""
    """Why it is not taken now; empty when it is."""
    retry_in_s: Annotated[float, Meta(examples=[1.8])] = 0.0


class WayReport(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The ways that the answering router has used or heard of; each router has its own view."""

    router: Annotated[str, Meta(examples=["router-0"])]
    ways: list[WayStatus]


class PutTimeouts(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; `first_content_timeout_s` null means the usual one."""

    connect_timeout_s: Annotated[Timeout, Meta(examples=[3])] | UnsetType = UNSET
    headers_timeout_s: Annotated[Timeout, Meta(examples=[120])] | UnsetType = UNSET
    first_content_timeout_s: Annotated[Timeout, Meta(examples=[30])] | UnsetType | None = UNSET
    idle_timeout_s: Annotated[Timeout, Meta(examples=[60])] | UnsetType = UNSET
    total_timeout_s: Annotated[Timeout, Meta(examples=[600])] | UnsetType = UNSET


class ModelTimeouts(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """How long an attempt at a model may take."""

    model: Annotated[str, Meta(examples=["gpt-4o"])]
    connect_timeout_s: Annotated[float, Meta(examples=[3])]
    headers_timeout_s: Annotated[float, Meta(examples=[120])]
    first_content_timeout_s: Annotated[float | None, Meta(examples=[None])]
    idle_timeout_s: Annotated[float, Meta(examples=[60])]
    total_timeout_s: Annotated[float, Meta(examples=[600])]
