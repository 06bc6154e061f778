"""The interactive figures: hand-written custom elements that need no kernel and no network.

Each function returns a :class:`Figure`, which JupyterLab, Colab and the built book show alike.
A page with several of them can carry the shared scripts once: :func:`once_per_page`.
"""

from course_lib.web.convolution import backward_stepper, convolution_explorer
from course_lib.web.figure import Figure, once_per_page
from course_lib.web.quiz import quiz

__all__ = ["Figure", "backward_stepper", "convolution_explorer", "once_per_page", "quiz"]
