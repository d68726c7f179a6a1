"""A customer may refuse another model than the one that was asked for."""

import pytest

from tests.fixtures.asking import DIALECTS, VENDORS, ask
from tests.fixtures.trouble import CLAUDE, GEMINI, GPT, Trouble, scripted

OWN = {"chat": GPT, "responses": GPT, "messages": CLAUDE, "gemini": GEMINI}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_failover_off_refuses_another_model(dialect: str, stream: bool, trouble: Trouble) -> None:
    model = OWN[dialect]
    text = scripted(status=503, vendor=VENDORS[model])

    answer = trouble.send(
        ask(dialect, model, text, stream=stream, key=trouble.key), x_aibridge_failover="off"
    )

    assert answer.status_code == (529 if dialect == "messages" else 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert set(trouble.vendors_of(answer)) == {VENDORS[model]}
    assert trouble.never_settled(answer.headers["x-aibridge-request-id"])


def test_failover_off_changes_nothing_where_the_model_is_well(trouble: Trouble) -> None:
    asked = ask("messages", CLAUDE, "Hello there", stream=False, key=trouble.key)

    answer = trouble.send(asked, x_aibridge_failover="off")

    assert answer.headers["x-aibridge-model"] == CLAUDE
