"""Every figure of the book, in one theme, light and dark.

Each function returns a figure that shows itself at the end of a notebook cell. Colours are asked
for by what they mean (:data:`course_lib.palette.ROLES`); what a colour says, a label, a position or
a pattern says too.
"""

from course_lib.plots.bars import bars
from course_lib.plots.boxes import Boxed, Posed, boxes
from course_lib.plots.charts import curves
from course_lib.plots.glyphs import Oriented, glyphs
from course_lib.plots.grids import Grid, confusion_matrix, matrix, number_grids
from course_lib.plots.pictures import Lit, Signed, filters, images
from course_lib.plots.segmentations import Segmented, segmentations

__all__ = [
    "Boxed",
    "Grid",
    "Lit",
    "Oriented",
    "Posed",
    "Segmented",
    "Signed",
    "bars",
    "boxes",
    "confusion_matrix",
    "curves",
    "filters",
    "glyphs",
    "images",
    "matrix",
    "number_grids",
    "segmentations",
]
