"""The bases of everything that crosses a process border.

msgspec does not inherit `kw_only`, and a type checker wants `frozen` said again: subclasses restate both.
"""

from msgspec import Struct


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Input of one of our own APIs: a typing mistake is a 400, never a silent default."""


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Output of one of our own APIs: readers ignore fields they do not know."""


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A message on the bus: readers ignore fields they do not know, so deploys may roll."""
