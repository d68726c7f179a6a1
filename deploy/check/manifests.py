"""Rules for built manifests. A rule is a function that yields what it finds wrong."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from deploy.check import GRACE_S, SERVICES, Document
from deploy.check.images import image_problems

EXTERNAL_SECRETS = {*SERVICES, "nats", "gateway-tls"}
"""What production makes by hand or by a vault; see deploy/README.md."""

_LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def manifest_problems(documents: Sequence[Document]) -> Iterator[str]:
    """Every breach of a rule in one built overlay."""
    for workload in workloads(documents):
        name = workload["metadata"]["name"]
        rules = [_pod_problems, _probe_problems]
        if name in SERVICES:
            rules.append(_drain_problems)
        for rule in rules:
            for problem in rule(workload):
                yield f"{name}: {problem}"
        for container in containers(workload):
            for problem in _container_problems(container):
                yield f"{name}/{container['name']}: {problem}"
    yield from _missing_references(documents)
    yield from _missing_budgets(documents)
    yield from _empty_selectors(documents)


def workloads(documents: Iterable[Document]) -> list[Document]:
    """The objects that make pods."""
    return [d for d in documents if d["kind"] in {"Deployment", "StatefulSet", "Job"}]


def containers(workload: Document) -> list[Document]:
    """A workload's containers, those that run first included."""
    pod = _pod(workload)
    return [*pod.get("initContainers", []), *pod["containers"]]


def environment_sources(container: Document) -> set[tuple[str, str]]:
    """Kind and name of what a container takes its environment from as a whole."""
    kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
    return {
        (kinds[key], reference["name"])
        for source in container.get("envFrom", [])
        for key, reference in source.items()
        if key in kinds
    }


def _pod(workload: Document) -> Document:
    return workload["spec"]["template"]["spec"]


def _labels(workload: Document) -> Mapping[str, str]:
    return workload["spec"]["template"]["metadata"]["labels"]


def _pod_problems(workload: Document) -> Iterator[str]:
    pod = _pod(workload)
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "may run as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts an API token"


def _probe_problems(workload: Document) -> Iterator[str]:
    for container in _pod(workload)["containers"]:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                yield f"{container['name']} has no {probe}"


def _container_problems(container: Document) -> Iterator[str]:
    for key, value in _LOCKED_DOWN.items():
        if container.get("securityContext", {}).get(key) != value:
            yield f"{key} is not {value}"
    for bound in ("requests", "limits"):
        if not {"cpu", "memory"} <= container.get("resources", {}).get(bound, {}).keys():
            yield f"{bound} do not name cpu and memory"
    yield from image_problems(container["image"])


def _drain_problems(workload: Document) -> Iterator[str]:
    pod = _pod(workload)
    if pod.get("terminationGracePeriodSeconds", 0) < GRACE_S:
        yield f"is not given {GRACE_S} s to drain"
    if pod["containers"][0].get("lifecycle", {}).get("preStop") != {"sleep": {"seconds": 10}}:
        yield "does not wait for the load balancers before it drains"
    rolling = workload["spec"].get("strategy", {}).get("rollingUpdate", {})
    if workload["kind"] == "Deployment" and rolling.get("maxUnavailable") != 0:
        yield "a rollout may take a pod away before its successor is ready"


def _missing_references(documents: Sequence[Document]) -> Iterator[str]:
    have = {(document["kind"], document["metadata"]["name"]) for document in documents}
    have |= {("Secret", name) for name in EXTERNAL_SECRETS}
    for workload in workloads(documents):
        for kind, name in sorted(_references(workload) - have):
            yield f"{workload['metadata']['name']}: uses {kind} {name}, which does not exist"
    for document in documents:
        if document["kind"] == "HorizontalPodAutoscaler":
            target = document["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) not in have:
                yield f"HorizontalPodAutoscaler {document['metadata']['name']}: scales nothing"


def _references(workload: Document) -> set[tuple[str, str]]:
    pod = _pod(workload)
    used = {("ServiceAccount", pod.get("serviceAccountName", "default"))}
    for container in containers(workload):
        used |= environment_sources(container)
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            used.add(("ConfigMap", volume["configMap"]["name"]))
        if "secret" in volume:
            used.add(("Secret", volume["secret"]["secretName"]))
    return used


def _missing_budgets(documents: Sequence[Document]) -> Iterator[str]:
    budgets = [
        document["spec"]["selector"]["matchLabels"]
        for document in documents
        if document["kind"] == "PodDisruptionBudget"
    ]
    for workload in workloads(documents):
        covered = any(_selects(budget, _labels(workload)) for budget in budgets)
        if workload["spec"].get("replicas") != 1 and not covered:
            yield f"{workload['metadata']['name']}: has no PodDisruptionBudget"


def _empty_selectors(documents: Sequence[Document]) -> Iterator[str]:
    """A selector with a misspelt label is valid and means nothing; in a NetworkPolicy that is a hole."""
    labels = [_labels(workload) for workload in workloads(documents)]
    for document in documents:
        for selector in _selectors(document):
            if not any(_selects(selector, own) for own in labels):
                yield f"{document['kind']} {document['metadata']['name']}: {selector} selects nothing"


def _selectors(document: Document) -> Iterator[Mapping[str, str]]:
    spec = document.get("spec", {})
    match document["kind"]:
        case "Service":
            yield spec["selector"]
        case "PodDisruptionBudget":
            yield spec["selector"]["matchLabels"]
        case "NetworkPolicy":
            yield spec["podSelector"].get("matchLabels", {})
            for rule in (*spec.get("ingress", []), *spec.get("egress", [])):
                for peer in (*rule.get("from", []), *rule.get("to", [])):
                    yield peer.get("podSelector", {}).get("matchLabels", {})
        case _:
            pass


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()
