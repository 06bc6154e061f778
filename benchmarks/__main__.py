"""Run every benchmark and write its table into ``benchmarks/results``."""

from benchmarks import layers

layers.main()
