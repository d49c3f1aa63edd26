"""The benchmarks: speed, latency and commits of real processes, with the original beside them."""
