"""The samples of one run, found by what they are about."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.sample import LoadSample, MemorySample, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    samples: Sequence[Sample]

    def of(self, *, scenario: str, target: str) -> list[LoadSample]:
        return [
            sample
            for sample in self.loads()
            if sample.scenario == scenario and sample.target == target
        ]

    def loads(self) -> list[LoadSample]:
        return [sample for sample in self.samples if isinstance(sample, LoadSample)]

    def memory(self) -> list[MemorySample]:
        return [sample for sample in self.samples if isinstance(sample, MemorySample)]

    def targets(self, *, scenario: str) -> list[str]:
        """In the order of their first measurement."""
        names = [sample.target for sample in self.loads() if sample.scenario == scenario]
        return list(dict.fromkeys(names))
