"""Builds the site from `_config.yml`, `_toc.yml`, the pages and the notebooks.

``python -m book.build`` makes ``_build/html``; ``python -m book.serve`` shows it.
"""
