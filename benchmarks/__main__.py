"""Run every benchmark and write its table into ``benchmarks/results``."""

from benchmarks import autodiff, layers

layers.main()
autodiff.main()
