# deploy/ is no member of the workspace, so the type checker does not find it.
# pyright: reportMissingImports=false

import re
from copy import deepcopy
from typing import Any

import pytest
import yaml

from deploy.check import ROOT, SERVICES
from deploy.check.compose import compose_problems
from deploy.check.variables import compose_variables, variable_problems

ENV_EXAMPLE = (ROOT / ".env.example").read_text("utf-8")


@pytest.fixture
def compose() -> dict[str, Any]:
    return deepcopy(yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8")))


def test_our_compose_file_keeps_the_rules(compose: dict[str, Any]) -> None:
    assert list(compose_problems(compose, ENV_EXAMPLE)) == []


def test_every_service_gets_the_variables_it_reads(compose: dict[str, Any]) -> None:
    assert list(variable_problems(compose_variables(compose), complete=True)) == []


def test_compose_and_manifests_name_the_same_variables(compose: dict[str, Any]) -> None:
    """The development overlay has its secrets in git, so that its files hold every name."""
    folder = ROOT / "deploy/k8s"
    base = (folder / "base/kustomization.yaml").read_text("utf-8")
    named = {
        service: set(
            re.findall(
                rf"AIBRIDGE_{service.upper()}_[A-Z_]+",
                base
                + (folder / f"base/{service}.yaml").read_text("utf-8")
                + (folder / f"overlays/dev/secrets/{service}.env").read_text("utf-8"),
            )
        )
        for service in SERVICES
    }

    assert compose_variables(compose) == named


def test_a_variable_that_nobody_reads_is_found(compose: dict[str, Any]) -> None:
    compose["services"]["billing"]["environment"]["AIBRIDGE_BILLING_LISTN"] = "0.0.0.0:3004"

    assert list(variable_problems(compose_variables(compose), complete=False)) == [
        "billing: AIBRIDGE_BILLING_LISTN is no setting of the service"
    ]


def test_a_variable_that_is_missing_is_found(compose: dict[str, Any]) -> None:
    del compose["services"]["billing"]["environment"]["AIBRIDGE_BILLING_NATS_URL"]

    assert list(variable_problems(compose_variables(compose), complete=True)) == [
        "billing: AIBRIDGE_BILLING_NATS_URL is required and not set"
    ]


@pytest.mark.parametrize(
    ("service", "change", "problem"),
    [
        ("router", {"stop_grace_period": "10s"}, "router: is not given 640 s to drain"),
        ("router", {"cap_drop": []}, "router: is not locked down"),
        ("auth", {"image": "aibridge-auht:1"}, "auth: image aibridge-auht:1 has no Dockerfile"),
        ("auth", {"depends_on": {}}, "auth: may start before its migration succeeded"),
        ("auth", {"depends_on": {"pg": {}}}, "auth: waits for pg, which does not exist"),
    ],
)
def test_a_service_that_breaks_a_rule_is_found(
    compose: dict[str, Any], service: str, change: dict[str, Any], problem: str
) -> None:
    compose["services"][service].update(change)

    assert problem in list(compose_problems(compose, ENV_EXAMPLE))


def test_a_secret_with_a_default_is_found(compose: dict[str, Any]) -> None:
    """A default would start the product with a password that everybody can read."""
    compose["services"]["gateway"]["environment"]["AIBRIDGE_GATEWAY_SERVICE_TOKEN"] = "${T:-x}"

    assert any(
        "AIBRIDGE_GATEWAY_SERVICE_TOKEN does not come from .env" in problem
        for problem in compose_problems(compose, ENV_EXAMPLE)
    )


def test_a_secret_that_turns_something_on_may_be_left_out(compose: dict[str, Any]) -> None:
    environment = compose["services"]["billing"]["environment"]
    assert environment["AIBRIDGE_BILLING_STRIPE_WEBHOOK_SECRET"] == "${STRIPE_WEBHOOK_SECRET:-}"
    environment["AIBRIDGE_BILLING_STRIPE_WEBHOOK_SECRET"] = "${STRIPE_WEBHOOK_SECRET:-whsec}"

    assert any(
        "AIBRIDGE_BILLING_STRIPE_WEBHOOK_SECRET does not come from .env" in problem
        for problem in compose_problems(compose, ENV_EXAMPLE)
    )


def test_a_secret_missing_from_the_example_is_found(compose: dict[str, Any]) -> None:
    example = ENV_EXAMPLE.replace("GATEWAY_TOKEN=\n", "")

    assert list(compose_problems(compose, example)) == [
        "GATEWAY_TOKEN: the compose file and .env.example disagree about it"
    ]


def test_the_example_holds_no_values() -> None:
    lines = [line for line in ENV_EXAMPLE.splitlines() if line and not line.startswith("#")]

    assert all(line.endswith("=") for line in lines)
