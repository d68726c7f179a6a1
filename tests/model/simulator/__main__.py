"""`make simulate`: more seeds than the tests have time for, or one of them again."""

import argparse
import secrets
import sys
import time

from .simulation import Failed, simulate

SEEDS, REQUESTS = 20, 12_500


def main() -> int:
    """1 when a run fails; its seed and last events are printed."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="this run only")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many random runs")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each run")
    arguments = parser.parse_args()
    seeds = (
        [secrets.randbelow(2**32) for _ in range(arguments.seeds)]
        if arguments.seed is None
        else [arguments.seed]
    )
    failed = 0
    for seed in seeds:
        began_s = time.process_time()
        try:
            report = simulate(seed, arguments.requests)
        except Failed as error:
            print(error)
            failed += 1
            continue
        took_s = time.process_time() - began_s
        print(f"{report.requests / took_s:7.0f} requests/s  {report}", flush=True)
    print(f"{len(seeds) - failed} of {len(seeds)} runs kept every promise")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
