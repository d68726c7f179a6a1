import msgspec

from aibridge_sandbox.settings import Settings
from aibridge_sandbox.world.catalogue import Catalogue
from aibridge_sandbox.world.identity import Identity
from aibridge_sandbox.world.journal import Journal
from aibridge_sandbox.world.prefixes import Prefixes
from aibridge_sandbox.world.rules import Rules
from aibridge_sandbox.world.turns import Turns


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that outlives one request."""

    settings: Settings
    catalogue: Catalogue
    rules: Rules
    journal: Journal
    prefixes: Prefixes
    identity: Identity
    turns: Turns


def build_world(settings: Settings) -> World:
    """Raises `ValueError` if the settings name a model that cannot be."""
    return World(
        settings=settings,
        catalogue=Catalogue(settings.models),
        rules=Rules(settings.seed),
        journal=Journal(settings.log_file, settings.log_entries_max),
        prefixes=Prefixes(),
        identity=Identity(settings.seed),
        turns=Turns(),
    )
