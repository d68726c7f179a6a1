"""Rules for the compose file: the same promises as the manifests, with compose's means."""

import re
from collections.abc import Iterator

from deploy.check import GRACE_S, SERVICES, Document
from deploy.check.images import image_problems

_SECRET = re.compile(r"PASSWORD|TOKEN|PEPPER|SECRET|DATABASE_URL|NATS_URL")
_OFF = re.compile(r"\$\{[A-Z_]+:-\}")
"""A secret that turns something on: without it that is off, and nobody knows a default."""
_REQUIRED = re.compile(r"\$\{([A-Z_]+):\?see \.env\.example\}")


def compose_problems(compose: Document, env_example: str) -> Iterator[str]:
    """Every breach of a rule in the compose file."""
    services: Document = compose["services"]
    for name, service in services.items():
        rules = [_service_problems]
        if name in SERVICES:
            rules.append(_product_problems)
        for rule in rules:
            for problem in rule(name, services):
                yield f"{name}: {problem}"
        yield from (f"{name}: {problem}" for problem in image_problems(service["image"]))
    needed = {
        variable
        for service in services.values()
        for value in service.get("environment", {}).values()
        for variable in _REQUIRED.findall(str(value))
    }
    offered = set(re.findall(r"^([A-Z_]+)=$", env_example, re.MULTILINE))
    for variable in sorted(needed ^ offered):
        yield f"{variable}: the compose file and .env.example disagree about it"


def _service_problems(name: str, services: Document) -> Iterator[str]:
    service = services[name]
    for upstream in service.get("depends_on", {}):
        if upstream not in services:
            yield f"waits for {upstream}, which does not exist"
    for variable, value in service.get("environment", {}).items():
        if not _SECRET.search(variable) or _OFF.fullmatch(str(value)):
            continue
        if not _REQUIRED.search(str(value)):
            yield f"{variable} does not come from .env, with a refusal when it is missing there"


def _product_problems(name: str, services: Document) -> Iterator[str]:
    service = services[name]
    if service.get("stop_grace_period") != f"{GRACE_S}s":
        yield f"is not given {GRACE_S} s to drain"
    if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
        yield "is not locked down"
    if "healthcheck" not in service:
        yield "has no healthcheck"
    migrate = services.get(f"{name}-migrate")
    if migrate is None:
        return
    if migrate["environment"] != service["environment"] or migrate["image"] != service["image"]:
        yield "migrates with another image or environment than it serves with"
    awaited = service["depends_on"].get(f"{name}-migrate", {})
    if awaited.get("condition") != "service_completed_successfully":
        yield "may start before its migration succeeded"
