"""The variables that the services read, against those that they are given."""

import importlib
import re
from collections.abc import Iterator, Sequence

import msgspec

from deploy.check import SERVICES, Document
from deploy.check.manifests import containers, environment_sources, workloads

Variables = dict[str, set[str]]
"""By service, the names of the AIBRIDGE_ variables that it is given."""

_OURS = re.compile(r"AIBRIDGE_[A-Z]+_[A-Z_]+")


def settings_variables(service: str) -> dict[str, bool]:
    """The variables that a service reads, and which of them it does not start without."""
    settings = importlib.import_module(f"aibridge_{service}.settings").Settings
    prefix = f"AIBRIDGE_{service.upper()}_"
    return {
        prefix + field.name.upper(): field.required for field in msgspec.structs.fields(settings)
    }


def variable_problems(given: Variables, *, complete: bool) -> Iterator[str]:
    """Variables that a service does not read and, with `complete`, those that it lacks."""
    for service in SERVICES:
        known = settings_variables(service)
        for name in sorted(given[service] - known.keys()):
            yield f"{service}: {name} is no setting of the service"
        needed = {name for name, required in known.items() if required} if complete else set[str]()
        for name in sorted(needed - given[service]):
            yield f"{service}: {name} is required and not set"


def manifest_variables(documents: Sequence[Document]) -> Variables:
    """What the pods of each service find in their environment, as far as the documents say it."""
    sources = {
        (document["kind"], document["metadata"]["name"]): set(document.get("data", {}))
        for document in documents
        if document["kind"] in {"ConfigMap", "Secret"}
    }
    given: Variables = {service: set() for service in SERVICES}
    for workload in workloads(documents):
        names = given.setdefault(workload["metadata"]["name"], set())
        for container in containers(workload):
            names |= {entry["name"] for entry in container.get("env", [])}
            for source in environment_sources(container):
                names |= sources.get(source, set())
    return {service: set(filter(_OURS.fullmatch, names)) for service, names in given.items()}


def compose_variables(compose: Document) -> Variables:
    """What the compose file gives to each service."""
    return {
        service: set(filter(_OURS.fullmatch, compose["services"][service]["environment"]))
        for service in SERVICES
    }
