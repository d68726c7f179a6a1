"""Which vendors are real, and which are played by the sandbox because their key is not set."""

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from aibridge_devstack.failure import StartFailed

SANDBOXED = ("anthropic", "openai", "google")
"""The providers the sandbox can play; each is a path there."""


class Vendor(Struct, frozen=True, kw_only=True):
    """One provider of the catalogue."""

    name: str
    answers: Literal["real", "sandbox", "nobody"]
    """`nobody`: it has no key, and the sandbox does not know it."""
    variables: tuple[str, ...]
    """Setting one of these makes it real."""


class _Provider(Struct, frozen=True, kw_only=True):
    name: str
    keys: tuple[str, ...] = ()


class _Catalog(Struct, frozen=True, kw_only=True):
    """Of a catalogue only what we need; the services read, and judge, the rest."""

    providers: tuple[_Provider, ...] = ()


def catalog_path(environ: Mapping[str, str]) -> Path:
    """`AIBRIDGE_CATALOG`, else the catalogue that is shipped."""
    if given := environ.get("AIBRIDGE_CATALOG"):
        path = Path(given).expanduser().absolute()
    else:
        with as_file(files("aibridge_common") / "catalog.toml") as shipped:
            path = shipped
    if not path.is_file():
        raise StartFailed(f"There is no catalogue at {path} (AIBRIDGE_CATALOG).")
    return path


def read_vendors(catalog: Path, environ: Mapping[str, str]) -> tuple[Vendor, ...]:
    """The sandbox plays a provider whose keys are all `env:` variables that are not set."""
    try:
        read = msgspec.toml.decode(catalog.read_bytes(), type=_Catalog)
    except msgspec.MsgspecError as error:
        raise StartFailed(f"The catalogue {catalog} cannot be read: {error}") from error
    return tuple(_vendor(provider, environ) for provider in read.providers)


def _vendor(provider: _Provider, environ: Mapping[str, str]) -> Vendor:
    variables = tuple(key.removeprefix("env:") for key in provider.keys if key.startswith("env:"))
    if (
        len(variables) < len(provider.keys)
        or not variables
        or any(environ.get(variable) for variable in variables)
    ):
        return Vendor(name=provider.name, answers="real", variables=variables)
    answers = "sandbox" if provider.name in SANDBOXED else "nobody"
    return Vendor(name=provider.name, answers=answers, variables=variables)
