"""nbgrader for this course: solutions/ is released as assignments/, feedback hides the tests."""

from pathlib import Path

course = Path(__file__).parent
c = get_config()  # noqa: F821 (traitlets calls this file and gives it the function)

c.CourseDirectory.course_id = "gradients-to-detectors"
c.CourseDirectory.root = str(course)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"

# Between accounts of one machine. A server of many users needs a folder that all of them can reach.
c.Exchange.root = str(course / "exchange")

c.ExecutePreprocessor.timeout = 60  # seconds, each cell; then the cell is interrupted and scores 0
c.Execute.extra_arguments = ["--IPKernelApp.log_level=ERROR"]  # kernels warn of TCP at each start

# nbgrader's own list, with an execution that outlives a dead kernel.
c.Autograde.autograde_preprocessors = [
    "course_lib.grading.execution.ExecuteEveryCell",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

c.GenerateFeedback.exporter_class = "course_lib.grading.feedback.FeedbackExporter"
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "course_lib.grading.feedback.HideTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
