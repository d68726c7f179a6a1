"""Build the manifests, validate every object against the Kubernetes schemas, apply all rules."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import kubernetes_validate
import yaml

from deploy.check import ROOT, SERVICES, Document
from deploy.check.compose import compose_problems
from deploy.check.images import dockerfile_problems
from deploy.check.manifests import manifest_problems
from deploy.check.variables import compose_variables, manifest_variables, variable_problems

KUBERNETES = ROOT / "deploy/k8s"
COMPONENTS = ("gateway-tls", "mail")
"""What production does not use by itself."""
COMPLETE = "overlays/dev"
"""The overlay whose secrets are in git, so that every variable is known."""


def main() -> None:
    """Print what was built and what is wrong; exit with 1 if anything is."""
    builds = {name: build(KUBERNETES / name) for name in ("base", COMPLETE, "overlays/prod")}
    for component in COMPONENTS:
        builds[f"overlays/prod + {component}"] = build_with_component(component)
    for name, documents in builds.items():
        sys.stdout.write(f"{name}: {len(documents)} objects\n")
    problems = [
        *_file_problems(builds[COMPLETE]),
        *(f"{name}: {p}" for name, built in builds.items() for p in _build_problems(name, built)),
    ]
    for problem in problems:
        sys.stdout.write(f"  {problem}\n")
    sys.stdout.write(f"{len(problems)} problems\n")
    sys.exit(1 if problems else 0)


def build(folder: Path) -> list[Document]:
    """The objects of a kustomization; ends the program if they cannot be built."""
    if command := shutil.which("kustomize"):
        arguments = [command, "build", str(folder)]
    elif command := shutil.which("kubectl"):
        arguments = [command, "kustomize", str(folder)]
    else:
        sys.exit("k8s-check needs kustomize >= 5.0 or kubectl >= 1.27 on the PATH")
    built = subprocess.run(arguments, check=False, capture_output=True, text=True)  # noqa: S603
    if built.returncode:
        sys.exit(f"{folder.relative_to(ROOT)} does not build:\n{built.stderr}")
    return list(yaml.safe_load_all(built.stdout))


def build_with_component(name: str) -> list[Document]:
    """The production overlay with a component that it does not use by itself."""
    kustomization = {"resources": ["../prod"], "components": [f"../../components/{name}"]}
    with tempfile.TemporaryDirectory(dir=KUBERNETES / "overlays") as folder:
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(kustomization), "utf-8")
        return build(Path(folder))


def _file_problems(complete: list[Document]) -> Iterator[str]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    env_example = (ROOT / ".env.example").read_text("utf-8")
    given, elsewhere = compose_variables(compose), manifest_variables(complete)
    for problem in (
        *compose_problems(compose, env_example),
        *variable_problems(given, complete=True),
        *(
            f"{service}: {COMPLETE} has other variables: {sorted(difference)}"
            for service in SERVICES
            if (difference := given[service] ^ elsewhere[service])
        ),
    ):
        yield f"docker-compose.yml: {problem}"
    for path in sorted(ROOT.glob("*/*/Dockerfile")):
        for problem in dockerfile_problems(path.read_text("utf-8")):
            yield f"{path.relative_to(ROOT)}: {problem}"


def _build_problems(name: str, documents: Sequence[Document]) -> Iterator[str]:
    yield from _schema_problems(documents)
    yield from manifest_problems(documents)
    yield from variable_problems(manifest_variables(documents), complete=name == COMPLETE)
    if name != COMPLETE and any(document["kind"] == "Secret" for document in documents):
        yield "a Secret is in git"


def _schema_problems(documents: Sequence[Document]) -> Iterator[str]:
    version = kubernetes_validate.latest_version()
    for document in documents:
        try:
            kubernetes_validate.validate(dict(document), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = "/".join(map(str, error.path))
            yield f"{document['kind']} {document['metadata']['name']}: {where}: {error.message}"


if __name__ == "__main__":
    main()
