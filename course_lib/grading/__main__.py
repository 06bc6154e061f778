"""``python -m course_lib.grading`` is the command ``course``."""

import sys

from course_lib.grading.cli import main

sys.exit(main())
