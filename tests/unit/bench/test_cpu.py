import os
import sys
import time

import pytest
from bench.cpu import cpu_between_ns, read_cpu_ns

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")


def test_a_busy_process_is_charged_and_a_new_thread_counts_from_zero() -> None:
    before = read_cpu_ns([os.getpid()])
    until_s = time.thread_time() + 0.05
    while time.thread_time() < until_s:
        pass
    after = read_cpu_ns([os.getpid()])
    assert cpu_between_ns(before, after) >= 45_000_000
    assert cpu_between_ns({}, {1: 7}) == 7


def test_a_process_that_is_gone_is_charged_nothing() -> None:
    assert read_cpu_ns([2**22 + 1]) == {}
