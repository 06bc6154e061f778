"""Run every benchmark and write its table into ``benchmarks/results``."""

from benchmarks import autodiff, book, boxes, layers

layers.main()
autodiff.main()
boxes.main()
book.main()
