"""The data of the course: what ships inside the packages it depends on, or is generated."""

from course_lib.data.digits import Digits, load_digits

__all__ = ["Digits", "load_digits"]
