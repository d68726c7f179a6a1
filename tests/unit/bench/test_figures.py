import pytest
from bench.figures import (
    CPU_PER_REQUEST,
    P50,
    REQUESTS_PER_CORE,
    Spread,
    differences,
    ratios,
    spread_of,
)

from .samples import load_sample


def test_requests_per_core_are_the_inverse_of_cpu_per_request() -> None:
    sample = load_sample("nginx", cpu_us_per_request=20.0)
    assert CPU_PER_REQUEST.of(sample) == pytest.approx(20.0)
    assert REQUESTS_PER_CORE.of(sample) == pytest.approx(50_000)


def test_a_target_without_a_process_has_no_cpu_figure() -> None:
    assert REQUESTS_PER_CORE.of(load_sample("direct")) is None


def test_no_answers_make_no_figure_rather_than_an_infinite_one() -> None:
    sample = load_sample("nginx", answered=0, cpu_us_per_request=1.0)
    assert CPU_PER_REQUEST.of(sample) is None


def test_ratios_pair_the_samples_of_one_round() -> None:
    """The second round is slower for both: the ratio does not see it, a ratio of medians would."""
    ours = [
        load_sample("aibridge", round=0, cpu_us_per_request=100.0),
        load_sample("aibridge", round=1, cpu_us_per_request=300.0),
    ]
    nginx = [
        load_sample("nginx", round=1, cpu_us_per_request=30.0),
        load_sample("nginx", round=0, cpu_us_per_request=10.0),
    ]
    assert ratios(ours, nginx, REQUESTS_PER_CORE) == pytest.approx([0.1, 0.1])


def test_a_round_that_one_side_missed_is_left_out() -> None:
    ours = [load_sample("aibridge", round=number, p50_us=60_500.0) for number in range(3)]
    direct = [load_sample("direct", round=1, p50_us=60_000.0)]
    assert differences(ours, direct, P50) == pytest.approx([0.5])


def test_spread() -> None:
    assert Spread(min=1, median=2.5, max=9) == spread_of([9, 1, 3, 2])
