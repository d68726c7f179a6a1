"""Nothing secret is in a log, an answer, or a request to a vendor."""

from pathlib import Path

from aibridge_devstack.record import DevRecord
from tests.fixtures.outside import Outside


def test_vendors_never_see_a_customers_key_or_headers(outside: Outside) -> None:
    answer = outside.post(
        "/v1/chat/completions",
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
        cookie="canary-cookie=1",
        x_forwarded_for="203.0.113.9",
        x_ab_account="00000000000000000000000000000000",
        x_api_key=outside.key,
    )

    [entry] = outside.truth(answer.headers["x-aibridge-request-id"])
    seen = str(entry["headers"])
    assert answer.status_code == 200
    for canary in (outside.key, "canary-cookie", "203.0.113.9", "x-ab-", "x-forwarded"):
        assert canary not in seen


def test_a_client_cannot_pretend_to_be_the_gateway(outside: Outside) -> None:
    answer = outside.http.post(
        "/v1/chat/completions",
        json={"model": "gpt-4o", "messages": []},
        headers={"x-ab-account": "0" * 32, "x-ab-request-id": "0" * 32},
    )

    assert answer.status_code == 401


def test_the_logs_hold_no_credential_and_no_prompt(
    stack: DevRecord, stack_folder: Path, outside: Outside
) -> None:
    outside.chat("canary-prompt-5d1c")
    outside.http.get("/v1/models", params={"key": outside.key})

    log = (stack_folder / "log").read_text(errors="replace")
    written = "\n".join(line for line in log.splitlines() if " | " in line)  # not the screen
    assert "sandbox" in log
    for canary in (stack.demo_key, stack.service_token, stack.admin_password, "canary-prompt-5d1c"):
        assert canary not in written
