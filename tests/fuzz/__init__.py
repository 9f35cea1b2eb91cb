"""A fuzzer of the engine: random programs, each judged by several oracles. `python -m tests.fuzz --programs 100000`."""
