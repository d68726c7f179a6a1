import re
from collections.abc import Iterator

from deploy.check import ROOT

_COPIED = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


def image_problems(image: str) -> Iterator[str]:
    """Ours must have a Dockerfile, all others a version."""
    name, _, tag = image.partition(":")
    ours = name.rpartition("/")[2].removeprefix("aibridge-")
    if ours != name:
        if not any(
            (ROOT / folder / ours / "Dockerfile").is_file() for folder in ("libs", "services")
        ):
            yield f"image {image} has no Dockerfile"
    elif tag in {"", "latest"}:
        yield f"image {image} names no version"


def dockerfile_problems(dockerfile: str) -> Iterator[str]:
    """Rules for a Dockerfile: what it copies exists, and what it leaves behind is not root."""
    for source in _COPIED.findall(dockerfile):
        if not (ROOT / source).exists():
            yield f"copies {source}, which does not exist"
    final = dockerfile.rpartition("\nFROM ")[2]
    if "\nUSER 65534:65534\n" not in final:
        yield "runs as root"
    if not re.search(r'^ENTRYPOINT \["aibridge-[a-z]+"\]$', final, re.MULTILINE):
        yield "does not start a command of ours"
