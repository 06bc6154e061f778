"""Fold what has the class ``dropdown`` into an HTML ``<details>``, which works without a script.

That is any admonition, exercise or solution with ``:class: dropdown``, and the ``dropdown``
directive, whose argument is the line that stays visible.
"""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective


class details(nodes.Element):
    """An element that is closed until its first child, the :class:`summary`, is clicked."""


class summary(nodes.TextElement):
    """The visible line of a :class:`details`."""


class Dropdown(SphinxDirective):
    """``:::{dropdown} Line that stays visible``, with ``:open:`` to start unfolded."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {  # noqa: RUF012 (docutils reads it from the class)
        "class": directives.class_option,
        "name": directives.unchanged,
        "open": directives.flag,
    }

    def run(self):
        title, messages = self.state.inline_text(self.arguments[0], self.lineno)
        node = details("", open="open" in self.options)
        node["classes"] = ["admonition", *self.options.get("class", [])]
        self.add_name(node)
        node += summary("", "", *title, classes=["admonition-title"])
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node, *messages]


class FoldDropdowns(SphinxPostTransform):
    """Runs after sphinx-exercise (20-22) has completed the titles of exercises and solutions."""

    default_priority = 150
    formats = ("html",)

    def run(self, **kwargs):
        for section in self.document.findall(nodes.section):
            if section["ids"] in (["exercise-content"], ["solution-content"]):
                section["ids"] = []  # sphinx-exercise gives all of them the same
        for node in list(self.document.findall(nodes.Admonition)):
            if "dropdown" not in node["classes"]:
                continue
            title, *content = node.children
            line = summary("", classes=["admonition-title"])
            for child in title.children:  # a link inside the line would fight with folding
                line += child.children if isinstance(child, nodes.reference) else child
            folded = details("", line, *content, ids=node["ids"])
            folded["classes"] = [*node["classes"], "admonition"]
            node.replace_self(folded)


def visit_details(self, node):
    state = {"open": "open"} if node.get("open") else {}
    self.body.append(self.starttag(node, "details", **state))


def depart_details(self, node):
    self.body.append("</details>\n")


def visit_summary(self, node):
    self.body.append(self.starttag(node, "summary", ""))


def depart_summary(self, node):
    self.body.append("</summary>\n")


def setup(app):
    app.add_node(details, html=(visit_details, depart_details))
    app.add_node(summary, html=(visit_summary, depart_summary))
    app.add_directive("dropdown", Dropdown)
    app.add_post_transform(FoldDropdowns)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
