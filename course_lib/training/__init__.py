"""Train a model and see how good it is: the same few functions for every chapter, on any device."""

from course_lib.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from course_lib.training.device import choose_device
from course_lib.training.evaluation import accuracy, evaluate, predict, top_k_accuracy
from course_lib.training.fitting import Epoch, History, TrainingError, fit
from course_lib.training.metrics import class_iou, confusion_counts, mean_iou, pixel_accuracy
from course_lib.training.seeding import seed

__all__ = [
    "CheckpointError",
    "Epoch",
    "History",
    "TrainingError",
    "accuracy",
    "choose_device",
    "class_iou",
    "confusion_counts",
    "evaluate",
    "fit",
    "load_checkpoint",
    "mean_iou",
    "pixel_accuracy",
    "predict",
    "save_checkpoint",
    "seed",
    "top_k_accuracy",
]
