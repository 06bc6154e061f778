"""The data of the course: what ships inside the packages it depends on, or is generated.

Only :func:`voc` reads what has to be downloaded.
"""

from course_lib.data.captions import CaptionedScenes, captioned_scenes
from course_lib.data.digits import Digits, load_digits
from course_lib.data.figures import StickFigures, stick_figures
from course_lib.data.photographs import PHOTOGRAPHS, Photograph, photograph
from course_lib.data.placing import place_digits
from course_lib.data.recordings import load_recording
from course_lib.data.scenes import Scenes, digit_scenes
from course_lib.data.voc import VOC, VOC_CLASSES, voc

__all__ = [
    "PHOTOGRAPHS",
    "VOC",
    "VOC_CLASSES",
    "CaptionedScenes",
    "Digits",
    "Photograph",
    "Scenes",
    "StickFigures",
    "captioned_scenes",
    "digit_scenes",
    "load_digits",
    "load_recording",
    "photograph",
    "place_digits",
    "stick_figures",
    "voc",
]
