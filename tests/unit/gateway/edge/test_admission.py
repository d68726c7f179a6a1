"""Nobody takes more than a share, and everything that came in is counted out again."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.dialect import Operation
from aibridge_common.errors import AIBridgeError, RateLimited, Unavailable
from aibridge_common.web.overload import Limiter
from aibridge_gateway.edge.admission import Admission

ONE, OTHER = UUID(int=1), UUID(int=2)
PAID = [Operation.GENERATE, Operation.PASSTHROUGH]
FREE = [Operation.COUNT_TOKENS, Operation.LIST_MODELS, Operation.GET_MODEL]


@pytest.fixture
def admission() -> Admission:
    return Admission(Limiter(20), 3)


@pytest.mark.parametrize("operation", PAID)
def test_an_account_has_its_share_and_no_more(admission: Admission, operation: Operation) -> None:
    for _ in range(3):
        admission.enter(ONE, operation)
    with pytest.raises(RateLimited) as refusal:
        admission.enter(ONE, operation)
    admission.enter(OTHER, operation)
    admission.leave(ONE, operation)
    admission.enter(ONE, operation)

    assert refusal.value.retry_after_s == 1


@pytest.mark.parametrize("operation", FREE)
def test_what_costs_nothing_is_not_counted_for_the_account(
    admission: Admission, operation: Operation
) -> None:
    for _ in range(16):
        admission.enter(ONE, operation)
    for _ in range(3):
        admission.enter(ONE, Operation.GENERATE)


@pytest.mark.parametrize("operation", FREE)
def test_what_costs_nothing_is_refused_first(operation: Operation) -> None:
    limiter = Limiter(20)
    admission = Admission(limiter, 100)
    for _ in range(16):
        admission.enter(ONE, Operation.GENERATE)
    with pytest.raises(Unavailable):
        admission.enter(ONE, operation)
    for _ in range(4):
        admission.enter(ONE, Operation.GENERATE)
    with pytest.raises(Unavailable):
        admission.enter(ONE, Operation.GENERATE)

    assert limiter.running == 20


@given(
    st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.sampled_from([*PAID, *FREE])), max_size=60)
)
def test_when_all_have_left_nothing_is_remembered(
    requests: list[tuple[UUID, Operation]],
) -> None:
    limiter = Limiter(20)
    admission = Admission(limiter, 3)
    entered: list[tuple[UUID, Operation]] = []
    for request in requests:
        try:
            admission.enter(*request)
        except AIBridgeError:
            continue
        entered.append(request)

    assert limiter.running == len(entered)
    for request in entered:
        admission.leave(*request)
    assert limiter.running == 0
    assert admission._running == {}
