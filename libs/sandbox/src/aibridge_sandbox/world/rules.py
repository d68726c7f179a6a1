"""Faults set through the control API, and the count of how often a script may still apply."""

import hashlib
import itertools
from collections import OrderedDict

import msgspec

from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.script import Script, merge

_DIRECTIVE = msgspec.json.Decoder(Script)
_COUNTERS_MAX = 10_000


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The call a script may apply to."""

    vendor: str
    endpoint: str
    model: str
    key: str
    stream: bool


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A script that stays until it is deleted."""

    id: str
    script: Script


class Rules:
    """The rules in force; forgets counts of the scripts unused the longest."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rules: dict[str, Rule] = {}
        self._ids = itertools.count(1)
        self._applied: OrderedDict[str, int] = OrderedDict()
        self._draws: OrderedDict[str, int] = OrderedDict()

    def add(self, script: Script) -> Rule:
        """It applies from the next call on."""
        rule = Rule(id=f"rule-{next(self._ids)}", script=script)
        self._rules[rule.id] = rule
        return rule

    def listed(self) -> list[Rule]:
        """In the order they were added."""
        return list(self._rules.values())

    def clear(self, rule_id: str | None = None) -> None:
        """One rule, or all; an unknown id is no error."""
        if rule_id is None:
            self._rules.clear()
        else:
            self._rules.pop(rule_id, None)

    def effective(self, subject: Subject, directives: list[str]) -> Script:
        """Everything that applies to one call; directives win over rules.

        Counts `times` and draws `probability`, so it is asked once a call. A directive that is no
        valid script is refused with 400, so that a typing error in a test is loud.
        """
        scripts = [
            rule.script
            for rule in self._rules.values()
            if _concerns(rule.script, subject) and self._happens(rule.id, rule.script)
        ]
        for text in directives:
            try:
                script = _DIRECTIVE.decode(text)
            except msgspec.MsgspecError as error:
                raise Refusal(400, f"sandbox: bad directive {text}: {error}") from error
            if _concerns(script, subject) and self._happens(f"{subject.vendor}{text}", script):
                scripts.append(script)
        return merge(scripts)

    def _happens(self, name: str, script: Script) -> bool:
        if script.probability is not None and self._draw(name) >= script.probability:
            return False
        if script.times is None:
            return True
        applied = _count(self._applied, name)
        return applied <= script.times

    def _draw(self, name: str) -> float:
        text = f"{self._seed}:{name}:{_count(self._draws, name)}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def _count(counters: OrderedDict[str, int], name: str) -> int:
    counters[name] = counters.get(name, 0) + 1
    counters.move_to_end(name)
    if len(counters) > _COUNTERS_MAX:
        counters.popitem(last=False)
    return counters[name]


def _concerns(script: Script, subject: Subject) -> bool:
    wanted = (
        (script.vendor, subject.vendor),
        (script.endpoint, subject.endpoint),
        (script.model, subject.model),
        (script.stream, subject.stream),
    )
    if any(want is not None and want != have for want, have in wanted):
        return False
    return script.key is None or script.key in {subject.key, subject.key[-4:]}
