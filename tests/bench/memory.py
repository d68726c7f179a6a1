"""Memory of process trees as proportional set size: a page that n processes share counts 1/n to each."""

from contextlib import suppress
from pathlib import Path

from bench.processes import process_tree


def pss_bytes(root: int) -> int:
    total_kib = 0
    for pid in process_tree(root):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kib += int(line.split()[1])
    return total_kib * 1024
