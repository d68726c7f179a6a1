# deploy/ is no member of the workspace, so the type checker does not find it.
# pyright: reportMissingImports=false

from pathlib import Path

import pytest

from deploy.check import ROOT
from deploy.check.images import dockerfile_problems, image_problems

DOCKERFILES = sorted(ROOT.glob("*/*/Dockerfile"))
GATEWAY = (ROOT / "services/gateway/Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_our_dockerfiles_keep_the_rules(path: Path) -> None:
    assert list(dockerfile_problems(path.read_text("utf-8"))) == []


def test_the_ignore_list_lets_through_what_is_copied() -> None:
    """A builder sees only what .dockerignore allows; all that a Dockerfile copies must be in it."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = tuple(line[1:] for line in lines if line.startswith("!"))
    copied = {
        line.split()[1]
        for path in DOCKERFILES
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
    }

    assert "*" in lines
    assert all(source.startswith(allowed) for source in copied)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("USER 65534:65534\n", "", "runs as root"),
        ("COPY libs/common", "COPY libs/commons", "copies libs/commons, which does not exist"),
        ('"aibridge-gateway"]', '"sh", "-c"]', "does not start a command of ours"),
    ],
)
def test_a_dockerfile_that_breaks_a_rule_is_found(old: str, new: str, problem: str) -> None:
    assert old in GATEWAY
    assert [problem] == list(dockerfile_problems(GATEWAY.replace(old, new)))


@pytest.mark.parametrize("image", ["aibridge-auth", "example/aibridge-sandbox:1", "nats:2.15.1"])
def test_known_images(image: str) -> None:
    assert list(image_problems(image)) == []


@pytest.mark.parametrize("image", ["aibridge-nobody:1", "nats", "postgres:latest"])
def test_images_that_nobody_builds_or_pins(image: str) -> None:
    assert len(list(image_problems(image))) == 1
