"""Run every benchmark and write its table into ``benchmarks/results``."""

from benchmarks import autodiff, book, boxes, grading, layers, metrics, regions

layers.main()
autodiff.main()
boxes.main()
regions.main()
metrics.main()
grading.main()
book.main()
