"""The rules, grouped by kind; importing this package enters them all into the table."""

from course_lib.autodiff.rules import elementwise, linear_algebra, reductions, shapes

__all__ = ["elementwise", "linear_algebra", "reductions", "shapes"]
