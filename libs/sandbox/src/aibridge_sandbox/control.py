"""The sandbox's own API: set faults, read the truth."""

from typing import Any

import msgspec
from litestar import Router, delete, get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException
from litestar.params import FromQuery, JSONBody

from aibridge_sandbox.script import Script
from aibridge_sandbox.world.journal import Entry
from aibridge_sandbox.world.rules import Rule
from aibridge_sandbox.world.world import World

WORLD_STATE = "world"


def _world(state: State) -> World:
    return state[WORLD_STATE]


@get("/health", sync_to_thread=False)
def health(state: State) -> dict[str, Any]:
    """Answers as soon as the vendors do."""
    return {"status": "ok", "strict": _world(state).settings.strict}


@get("/faults", sync_to_thread=False)
def list_faults(state: State) -> list[dict[str, Any]]:
    """The rules in force, in the order they were set."""
    return [_described(rule) for rule in _world(state).rules.listed()]


@post("/faults", sync_to_thread=False)
def add_faults(state: State, data: JSONBody[Any]) -> list[dict[str, Any]]:
    """One rule or a list of them; none is set if one is wrong."""
    try:
        scripts = msgspec.convert(data if isinstance(data, list) else [data], list[Script])
    except msgspec.ValidationError as error:
        raise ClientException(str(error)) from error
    return [_described(_world(state).rules.add(script)) for script in scripts]


@delete("/faults", sync_to_thread=False)
def clear_faults(state: State, rule_id: FromQuery[str | None] = None) -> None:
    """One rule, or all of them."""
    _world(state).rules.clear(rule_id)


@get("/log", sync_to_thread=False)
def read_log(
    state: State, request_id: FromQuery[str | None] = None, limit: FromQuery[int] = 100
) -> list[Entry]:
    """The newest calls, oldest first, with headers and bodies."""
    return _world(state).journal.read(request_id, limit)


@delete("/log", sync_to_thread=False)
def clear_log(state: State) -> None:
    """Forgets the calls in memory; the file keeps its lines."""
    _world(state).journal.clear()


def _described(rule: Rule) -> dict[str, Any]:
    said = {
        name: value for name, value in msgspec.to_builtins(rule.script).items() if value is not None
    }
    return {"id": rule.id, **said}


control = Router(
    "/_sandbox",
    route_handlers=[health, list_faults, add_faults, clear_faults, read_log, clear_log],
)
