"""Run every benchmark and write its table into ``benchmarks/results``."""

from benchmarks import autodiff, book, layers

layers.main()
autodiff.main()
book.main()
