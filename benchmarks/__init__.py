"""Measure speed and memory side by side with the field's own libraries: ``make bench``.

One thread each: the number of threads is read when NumPy is first imported, hence set here.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
