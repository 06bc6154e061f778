"""Finding objects: boxes, and the detectors that predict them.

Boxes are ``x1 y1 x2 y2`` in pixels, floats, with the width ``x2 - x1``.
"""

from course_lib.detection.boxes import box_area, box_decode, box_encode, box_iou, clip_boxes

__all__ = ["box_area", "box_decode", "box_encode", "box_iou", "clip_boxes"]
