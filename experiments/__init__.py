"""Runs that need a GPU and data that has to be downloaded; no page of the book depends on them.

``python -m experiments.voc --help`` trains a detector on PASCAL VOC and evaluates it.
"""
