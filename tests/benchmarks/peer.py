"""One peer in a process of its own: prepares itself, then times as many steps as each line of input says."""

from __future__ import annotations

import json
import resource
import sys
import time

from tests.benchmarks.chains import CHAINS
from tests.benchmarks.sequences import SEQUENCE_PEERS, SEQUENCES
from tests.benchmarks.workloads import PEERS, WORKLOADS


def main() -> None:
    name, peer = sys.argv[1:3]
    if name in CHAINS:
        run = CHAINS[name][peer]
        step = lambda: run(10_000)
    elif name in SEQUENCES:
        step = SEQUENCE_PEERS[peer](SEQUENCES[name])
    else:
        step = PEERS[peer](WORKLOADS[name])
    started = time.perf_counter()
    first_loss = float(step())
    first = time.perf_counter() - started
    second_loss = float(step())
    for _ in range(3):
        step()
    print(json.dumps({"first": first, "losses": [first_loss, second_loss]}), flush=True)
    for line in sys.stdin:
        count = int(line)
        times = []
        for _ in range(count):
            started = time.perf_counter()
            step()
            times.append(time.perf_counter() - started)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"times": times, "memory": memory}), flush=True)


if __name__ == "__main__":
    main()
