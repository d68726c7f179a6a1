# deploy/ is no member of the workspace, so the type checker does not find it.
# pyright: reportMissingImports=false

from typing import Any

import pytest
import yaml

from deploy.check import ROOT
from deploy.check.manifests import manifest_problems
from deploy.check.variables import manifest_variables

DOCUMENTS = """
kind: Deployment
metadata: {name: gateway}
spec:
  strategy: {rollingUpdate: {maxUnavailable: 0}}
  template:
    metadata: {labels: {app: gateway}}
    spec:
      serviceAccountName: gateway
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 640
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: service
          image: aibridge-gateway:1
          envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: gateway}}]
          lifecycle: {preStop: {sleep: {seconds: 10}}}
          startupProbe: {}
          livenessProbe: {}
          readinessProbe: {}
          resources:
            requests: {cpu: 250m, memory: 1Gi}
            limits: {cpu: 2, memory: 1Gi}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
---
{kind: ServiceAccount, metadata: {name: gateway}}
---
{kind: ConfigMap, metadata: {name: settings}, data: {AIBRIDGE_GATEWAY_LISTEN: x, OTHER: y}}
---
kind: PodDisruptionBudget
metadata: {name: gateway}
spec: {selector: {matchLabels: {app: gateway}}}
---
{kind: Service, metadata: {name: gateway}, spec: {selector: {app: gateway}}}
---
kind: HorizontalPodAutoscaler
metadata: {name: gateway}
spec: {scaleTargetRef: {kind: Deployment, name: gateway}}
---
kind: NetworkPolicy
metadata: {name: gateway}
spec: {podSelector: {matchLabels: {app: gateway}}, egress: [{to: [{podSelector: {}}]}]}
"""


def documents(old: str = "", new: str = "") -> list[dict[str, Any]]:
    assert old in DOCUMENTS
    return list(yaml.safe_load_all(DOCUMENTS.replace(old, new)))


def test_good_manifests_have_no_problems() -> None:
    assert list(manifest_problems(documents())) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("runAsNonRoot: true", "runAsNonRoot: false", "gateway: may run as root"),
        ("{type: RuntimeDefault}", "{type: Unconfined}", "gateway: has no seccomp profile"),
        ("automountServiceAccountToken: false", "", "gateway: mounts an API token"),
        ("livenessProbe: {}", "", "gateway: service has no livenessProbe"),
        ("drop: [ALL]", "drop: []", "gateway/service: capabilities is not {'drop': ['ALL']}"),
        (
            "limits: {cpu: 2, memory: 1Gi}",
            "limits: {cpu: 2}",
            "gateway/service: limits do not name cpu and memory",
        ),
        (
            "terminationGracePeriodSeconds: 640",
            "terminationGracePeriodSeconds: 30",
            "gateway: is not given 640 s to drain",
        ),
        (
            "seconds: 10",
            "seconds: 0",
            "gateway: does not wait for the load balancers before it drains",
        ),
        (
            "maxUnavailable: 0",
            "maxUnavailable: 1",
            "gateway: a rollout may take a pod away before its successor is ready",
        ),
        (
            "secretRef: {name: gateway}",
            "secretRef: {name: gatewy}",
            "gateway: uses Secret gatewy, which does not exist",
        ),
        (
            "kind: Deployment, name: gateway",
            "kind: StatefulSet, name: gateway",
            "HorizontalPodAutoscaler gateway: scales nothing",
        ),
        (
            "podSelector: {}",
            "podSelector: {matchLabels: {app: auht}}",
            "NetworkPolicy gateway: {'app': 'auht'} selects nothing",
        ),
        ("kind: PodDisruptionBudget", "kind: Other", "gateway: has no PodDisruptionBudget"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_found(old: str, new: str, problem: str) -> None:
    assert [problem] == list(manifest_problems(documents(old, new)))


def test_variables_are_read_through_references() -> None:
    assert {"AIBRIDGE_GATEWAY_LISTEN"} == manifest_variables(documents())["gateway"]


def test_every_manifest_is_yaml() -> None:
    """`make k8s-check` builds and validates them; this much needs no kubectl."""
    for path in sorted((ROOT / "deploy").rglob("*.y*ml")):
        assert any(yaml.safe_load_all(path.read_text("utf-8"))), path


def test_only_the_development_overlay_generates_secrets() -> None:
    found = {
        path.parent.name
        for path in (ROOT / "deploy").rglob("kustomization.yaml")
        if "secretGenerator" in yaml.safe_load(path.read_text("utf-8"))
    }

    assert {"dev"} == found
