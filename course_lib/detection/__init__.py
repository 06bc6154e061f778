"""Finding objects: boxes, and the detectors that predict them.

Boxes are ``x1 y1 x2 y2`` in pixels, floats, with the width ``x2 - x1``.
"""

from course_lib.detection.anchors import (
    Matches,
    anchor_grid,
    anchor_shapes,
    anchors_inside,
    match_anchors,
)
from course_lib.detection.batching import ImageBatch, padded_batch
from course_lib.detection.boxes import (
    box_area,
    box_decode,
    box_encode,
    box_iou,
    clip_boxes,
    paired_iou,
)
from course_lib.detection.dense import (
    ScaleRow,
    dense_costs,
    interleave,
    offset_pool,
    scale_table,
)
from course_lib.detection.fast_rcnn import FastRCNN
from course_lib.detection.faster_rcnn import (
    FasterLosses,
    FasterRCNN,
)
from course_lib.detection.grouping import (
    STRATEGIES,
    Grouping,
    Strategy,
    group_regions,
    initial_regions,
    selective_search,
)
from course_lib.detection.hog import hog, hog_cells, normalized_blocks
from course_lib.detection.hog_detector import HOGDetector
from course_lib.detection.localizer import (
    Localization,
    Localizer,
    Located,
    box_head,
    localizer,
)
from course_lib.detection.merging import Merged, match_score, merge_boxes
from course_lib.detection.metrics import (
    PROTOCOLS,
    DetectionScore,
    PrecisionRecall,
    average_precision,
    evaluate_detections,
    precision_recall,
)
from course_lib.detection.mining import LinearClassifier, MiningRound, mine_hard_negatives
from course_lib.detection.mtcnn import CascadeStage, FaceCascade, Faces
from course_lib.detection.nms import batched_nms, nms
from course_lib.detection.overfeat import Dense, OverFeat, Votes
from course_lib.detection.pooling import numpy_pooling
from course_lib.detection.pose import (
    PoseRegressor,
    crops_around,
    pck,
    pcp,
    pose_error,
)
from course_lib.detection.proposals import grid_boxes, mean_best_overlap, proposal_recall
from course_lib.detection.rcnn import RCNN, warp
from course_lib.detection.regression import (
    chosen_boxes,
    localization_error,
    localization_loss,
    objects_iou,
    objects_loss,
    regression_loss,
)
from course_lib.detection.roi_head import DetectionLosses, RoIHead, detection_losses
from course_lib.detection.rpn import (
    AnchorSampling,
    ProposalLosses,
    Proposals,
    RegionProposals,
)
from course_lib.detection.sampling import Assigned, Sampling, assign, sample
from course_lib.detection.windows import TrainingWindows, training_windows

__all__ = [
    "PROTOCOLS",
    "RCNN",
    "STRATEGIES",
    "AnchorSampling",
    "Assigned",
    "CascadeStage",
    "Dense",
    "DetectionLosses",
    "DetectionScore",
    "FaceCascade",
    "Faces",
    "FastRCNN",
    "FasterLosses",
    "FasterRCNN",
    "Grouping",
    "HOGDetector",
    "ImageBatch",
    "LinearClassifier",
    "Localization",
    "Localizer",
    "Located",
    "Matches",
    "Merged",
    "MiningRound",
    "OverFeat",
    "PoseRegressor",
    "PrecisionRecall",
    "ProposalLosses",
    "Proposals",
    "RegionProposals",
    "RoIHead",
    "Sampling",
    "ScaleRow",
    "Strategy",
    "TrainingWindows",
    "Votes",
    "anchor_grid",
    "anchor_shapes",
    "anchors_inside",
    "assign",
    "average_precision",
    "batched_nms",
    "box_area",
    "box_decode",
    "box_encode",
    "box_head",
    "box_iou",
    "chosen_boxes",
    "clip_boxes",
    "crops_around",
    "dense_costs",
    "detection_losses",
    "evaluate_detections",
    "grid_boxes",
    "group_regions",
    "hog",
    "hog_cells",
    "initial_regions",
    "interleave",
    "localization_error",
    "localization_loss",
    "localizer",
    "match_anchors",
    "match_score",
    "mean_best_overlap",
    "merge_boxes",
    "mine_hard_negatives",
    "nms",
    "normalized_blocks",
    "numpy_pooling",
    "objects_iou",
    "objects_loss",
    "offset_pool",
    "padded_batch",
    "paired_iou",
    "pck",
    "pcp",
    "pose_error",
    "precision_recall",
    "proposal_recall",
    "regression_loss",
    "sample",
    "scale_table",
    "selective_search",
    "training_windows",
    "warp",
]
