"""The shared library of the course *From Gradients to Detectors*.

Importing it loads no framework: import the room you need, for example
``from course_lib.numpy_layers import conv2d_forward``.
"""
