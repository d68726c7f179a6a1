from bench.report import report
from bench.results import Results
from bench.sample import MemorySample
from bench.scenarios import SCENARIOS

from .samples import load_sample


def test_the_report_shows_spread_ratio_and_floors() -> None:
    results = Results(
        samples=[
            load_sample("nginx", round=0, cpu_us_per_request=16.0),
            load_sample("aibridge", round=0, cpu_us_per_request=160.0),
            load_sample("nginx", round=1, cpu_us_per_request=20.0),
            load_sample("aibridge", round=1, cpu_us_per_request=160.0),
            MemorySample(target="aibridge", moment="idle", pss_bytes={"gateway": 60_000_000}),
        ]
    )
    text = report(results, [each for each in SCENARIOS if each.name == "json_1k"])
    assert "50000 / 56250 / 62500" in text
    assert "aibridge / nginx: 0.100 / 0.113 / 0.125   (rounds: 0.100  0.125)" in text
    assert "ok     1 KB: requests/s per core, ours / nginx: 0.113 (at least 0.06)" in text
    assert "aibridge, idle  60.0   (gateway 60.0)" in text


def test_latency_is_shown_beside_the_direct_way() -> None:
    results = Results(
        samples=[
            load_sample("direct", scenario="latency", p50_us=60_100.0),
            load_sample("nginx", scenario="latency", cpu_us_per_request=80.0, p50_us=60_200.0),
        ]
    )
    text = report(results, [each for each in SCENARIOS if each.name == "latency"])
    assert "added p50 ms, nginx - direct: 0.10 / 0.10 / 0.10" in text
