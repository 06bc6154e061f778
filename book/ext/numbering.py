"""Give a chapter the number in its file's name, whichever chapters stand before it.

``lectures/03-backprop-convolution`` is chapter 3 and its figures are 3.1, 3.2, ... also while
chapters 1 and 2 are not written. Sphinx's own numbers count the entries of the contents instead.
"""

import re

from docutils import nodes
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles

CHAPTER = re.compile(r"lectures/(\d\d)-")
DEPTH = 2  # chapters and their sections


def assign_section_numbers(self, env):
    """Stands for the method of this name of Sphinx's collector; returns the pages that changed."""
    before, env.toc_secnumbers = env.toc_secnumbers, {}
    for docname, contents in env.tocs.items():
        chapter = CHAPTER.match(docname)
        if chapter:
            numbers = env.toc_secnumbers[docname] = {}
            _number(contents, (), int(chapter[1]), numbers)
            env.titles[docname]["secnumber"] = (int(chapter[1]),)
    names = set(before) | set(env.toc_secnumbers)
    return [name for name in names if before.get(name) != env.toc_secnumbers.get(name)]


def _number(items, parent, first, numbers):
    """Number the entries of the list `items` from `first` on, and write them to `numbers`."""
    for position, item in enumerate(items.children, start=first):
        number = (*parent, position)
        reference = next(item.findall(nodes.reference))
        shown = number if len(number) <= DEPTH else ()
        numbers[reference["anchorname"]] = shown
        reference["secnumber"] = shown or None
        for below in item.children:
            if isinstance(below, nodes.bullet_list):
                _number(below, number, 1, numbers)


def setup(app):
    TocTreeCollectorWithStyles.assign_section_numbers = assign_section_numbers
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
