"""Runs that take minutes, recorded once: ``python -m recordings``, which ``make record`` calls.

A module of this folder is one recording: its grid of settings and seeds, and `run`, which trains
with one of them. What it says goes to ``course_lib/data/recordings/``, from where
:func:`course_lib.data.load_recording` reads it; nothing there is written by hand, and a test trains
a few of the runs again.
"""
