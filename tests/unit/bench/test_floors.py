from bench.floors import judge
from bench.results import Results
from bench.sample import MemorySample, Sample

from .samples import load_sample


def verdicts(*samples: Sample) -> dict[str, bool]:
    return {
        verdict.floor.title.split(":")[0]: verdict.met
        for verdict in judge(Results(samples=samples))
    }


def test_a_ratio_below_its_floor_is_missed() -> None:
    nginx = load_sample("nginx", cpu_us_per_request=16.0)
    assert not verdicts(nginx, load_sample("aibridge", cpu_us_per_request=300.0))["1 KB"]
    assert verdicts(nginx, load_sample("aibridge", cpu_us_per_request=200.0))["1 KB"]


def test_what_was_not_measured_is_not_judged() -> None:
    assert list(verdicts(load_sample("nginx"))) == ["wrong or missing answers"]


def test_one_wrong_answer_fails_the_run() -> None:
    assert not verdicts(load_sample("nginx", errors=1))["wrong or missing answers"]


def test_only_idle_memory_counts() -> None:
    idle = MemorySample(target="aibridge", moment="idle", pss_bytes={"gateway": 300_000_000})
    loaded = MemorySample(target="aibridge", moment="loaded", pss_bytes={"gateway": 900_000_000})
    assert verdicts(idle, loaded)["idle memory of the four services, MB"]
