"""The interactive figures: hand-written custom elements that need no kernel and no network.

Each function returns a :class:`Figure`, which JupyterLab, Colab and the built book show alike.
A page with several of them can carry the shared scripts once: :func:`once_per_page`.
"""

from course_lib.web.anchors import anchors_and_labels
from course_lib.web.architecture import architecture_editor
from course_lib.web.beam_search import beam_search
from course_lib.web.caption_attention import caption_attention
from course_lib.web.convolution import backward_stepper, convolution_explorer
from course_lib.web.cost_map import cost_map
from course_lib.web.figure import Figure, once_per_page
from course_lib.web.graph import backward_pass
from course_lib.web.inception import inception_widths
from course_lib.web.moving_digit import moving_digit
from course_lib.web.overlap import overlap_and_distance
from course_lib.web.quiz import quiz
from course_lib.web.recorded import recorded_runs
from course_lib.web.roi_bins import roi_bins
from course_lib.web.scales import scales_and_offsets
from course_lib.web.segmentation import segmentation_explorer
from course_lib.web.step_size import step_size
from course_lib.web.sweep import sweep
from course_lib.web.thresholds import thresholds_and_curve
from course_lib.web.through_layers import signal_through_layers
from course_lib.web.unrolled_net import unrolled_net
from course_lib.web.windows import window_and_box

__all__ = [
    "Figure",
    "anchors_and_labels",
    "architecture_editor",
    "backward_pass",
    "backward_stepper",
    "beam_search",
    "caption_attention",
    "convolution_explorer",
    "cost_map",
    "inception_widths",
    "moving_digit",
    "once_per_page",
    "overlap_and_distance",
    "quiz",
    "recorded_runs",
    "roi_bins",
    "scales_and_offsets",
    "segmentation_explorer",
    "signal_through_layers",
    "step_size",
    "sweep",
    "thresholds_and_curve",
    "unrolled_net",
    "window_and_box",
]
