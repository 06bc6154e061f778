"""The reference: a page for each room of the library, written by its docstrings.

``.. room:: numpy_layers`` stands for every public name of ``course_lib.numpy_layers``, by the file
in which it is written: its arguments, what its docstring says, and a link to its source.
"""

import ast
import inspect
import re
from pathlib import PurePosixPath

from docutils import nodes
from docutils.statemachine import StringList
from numpydoc.docscrape import NumpyDocString
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode, nested_parse_with_titles
from sphinx.util.rst import default_role

from book.ext.sources import link_to_source
from book.library import PACKAGE, UnknownNameError, library, summary

TWINS = ("numpy_layers", "torch_layers")
LISTS = ("Parameters", "Attributes", "Returns", "Yields", "Raises")
TEXTS = ("Notes", "Examples", "References")
OTHERS = ("torch", "torchvision", "numpy", "np", "sklearn", "skimage", "matplotlib", "IPython")
RECORD = re.compile(r"^(\w+(?:, \w+)*) *: +(?=\S)")
LONG = 300  # characters; of a longer constant only the keys are shown


class Room(SphinxDirective):
    """``.. room:: NAME``, in a page of reStructuredText, the form of the docstrings."""

    required_arguments = 1

    def run(self):
        shelf = library(self.env.srcdir)
        room = self.arguments[0]
        if room not in shelf.public_rooms:
            raise self.error(f"room: {PACKAGE} has no {room}, only {', '.join(shelf.public_rooms)}")
        for path in shelf.files(room):
            self.env.note_dependency(str(path))
        text = Text()
        try:
            write_room(text, shelf, room)
        except UnknownNameError as error:
            raise self.error(f"room: {error}") from error
        found = nodes.Element()
        with default_role(self.env.docname, "literal"):
            nested_parse_with_titles(self.state, text.lines, found)
        for formula in found.findall(nodes.math_block):
            align(formula)
        for signature in found.findall(addnodes.desc_signature):
            for name in signature["ids"][:1]:
                signature += link_to_source(shelf.find(name), "source")
        return found.children


def align(formula):
    """Say what Sphinx takes for granted: formulas of several lines stand aligned."""
    text = formula.astext()
    if r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}} {text} \end{{aligned}}"
        formula.replace_self(formula.copy().__class__(text, text, **formula.attributes))


class Rooms(SphinxDirective):
    """``.. rooms::``, a list of the rooms, each with what its docstring says first."""

    def run(self):
        shelf = library(self.env.srcdir)
        text = Text()
        text.add(".. rst-class:: rooms\n", "rooms")
        for room in shelf.public_rooms:
            module = shelf.module(f"{PACKAGE}.{room}")
            self.env.note_dependency(str(module.path))
            text.add(f":doc:`{room}`\n    {summary(module.doc)}", f"docstring of {module.name}")
        found = nodes.Element()
        with default_role(self.env.docname, "literal"):
            nested_parse_with_titles(self.state, text.lines, found)
        return found.children


class Twins(SphinxDirective):
    """``.. twins::``, each function of PyTorch beside the one of NumPy that works as it does."""

    def run(self):
        shelf = library(self.env.srcdir)
        text = Text()
        for room in TWINS:
            for path in shelf.files(room):
                self.env.note_dependency(str(path))
        for torch, numpy in pairs_of_twins(shelf):
            text.add(f"{torch.short}\n{'-' * len(torch.short)}", torch.name)
            text.add(".. container:: twins", torch.name)
            for entry in (numpy, torch):
                text.add(".. container:: twin", torch.name, 3)
                text.add(f":py:func:`{entry.name}`", torch.name, 6)
                text.add(".. code-block:: python", torch.name, 6)
                text.add(shelf.code(entry), torch.name, 9)
        found = nodes.Element()
        nested_parse_with_titles(self.state, text.lines, found)
        return found.children


def pairs_of_twins(shelf):
    """Each function of ``torch_layers`` with the one of ``numpy_layers`` that it mirrors."""
    layers, mirrors = (f"{PACKAGE}.{room}" for room in TWINS)
    for entry in sorted(shelf.entries(TWINS[1]), key=lambda e: (e.module, e.line)):
        for ending in ("_forward", ""):
            twin = shelf.public.get(f"{layers}.{entry.name.removeprefix(f'{mirrors}.')}{ending}")
            if twin and twin.kind == entry.kind == "function":
                yield entry, twin
                break


class Text:
    """Lines of reStructuredText that know where they come from."""

    def __init__(self):
        self.lines = StringList()

    def add(self, text, source, indent=0):
        for number, line in enumerate([*text.splitlines(), ""]):
            self.lines.append(" " * indent + line if line else "", source, number)


def write_room(text, shelf, room):
    """Write the names of a room, a section for each of its files."""
    top = shelf.module(f"{PACKAGE}.{room}")
    text.add(f".. py:module:: {top.name}", top.name)
    text.add(top.doc, f"docstring of {top.name}")
    by_file = {}
    for entry in shelf.entries(room):
        by_file.setdefault(entry.module, []).append(entry)
    if len(by_file) > 1:
        write_overview(text, by_file, room)
    for module in sorted(by_file):
        entries = sorted(by_file[module], key=lambda entry: entry.line)
        if module != top.name:
            title = PurePosixPath(*module.split(".")[1:]).name + ".py"
            text.add(f"{title}\n{'-' * len(title)}", module)
            text.add(shelf.module(module).doc, f"docstring of {module}")
        for entry in entries:
            write_entry(text, entry, room)


def write_overview(text, by_file, room):
    text.add(".. rst-class:: overview\n", room)
    for module in sorted(by_file):
        names = sorted(by_file[module], key=lambda entry: entry.line)
        links = " · ".join(f":py:obj:`~{entry.name}`" for entry in names)
        text.add(f"{module.rsplit('.', 1)[-1]}.py\n    {links}", room)


def write_entry(text, entry, room, indent=0):
    """Write an entry as a description of Sphinx's domain for Python, its methods inside."""
    where = f"docstring of {entry.name}"
    module = f"{PACKAGE}.{room}"
    name = entry.name.removeprefix(f"{module}.")
    kind = {"cached_property": "property"}.get(entry.kind, entry.kind)
    text.add(f".. py:{kind}:: {name}{entry.signature}\n   :module: {module}", where, indent)
    if entry.doc:
        text.add(as_rst(entry.doc), where, indent + 3)
    if entry.value is not None:
        text.add(constant(entry.value), where, indent + 3)
    if not entry.name.count(".") > module.count(".") + 1:
        text.add(f".. library-links:: {entry.name}", where, indent + 3)
    for member in entry.members:
        if member.doc:
            write_entry(text, member, room, indent + 3)


def as_rst(doc):
    """Turn a docstring in numpydoc's form into plain reStructuredText."""
    parsed = NumpyDocString(doc)
    parts = ["\n".join(parsed["Summary"]), records("\n".join(parsed["Extended Summary"]))]
    for section in LISTS:
        if parsed[section]:
            parts.append(f".. rubric:: {section}")
            parts.append(".. rst-class:: parameters")
            parts.append("\n".join(map(listed, parsed[section])))
    for section in TEXTS:
        content = parsed[section]
        if content:
            content = content if isinstance(content, str) else "\n".join(content)
            parts += [f".. rubric:: {section}", content]
    return "\n\n".join(part for part in parts if part.strip())


def listed(parameter):
    """An item of a definition list; ``..`` is the empty definition of what needs none."""
    names = ", ".join(f"``{name}``" for name in parameter.name.split(", ") if name)
    term = " : ".join(filter(None, [names, parameter.type]))
    body = "\n".join(parameter.desc).strip() or ".."
    return f"{term}\n" + "\n".join(f"    {line}" if line else "" for line in body.splitlines())


def records(text):
    """Turn the lines ``name : what it is`` of a record's docstring into a definition list."""
    blocks = []
    for block in text.split("\n\n"):
        lines = block.splitlines()
        heads = [line for line in lines if not line.startswith(" ")]
        if heads and all(RECORD.match(line) for line in heads):
            block = ".. rst-class:: parameters\n\n" + "\n".join(map(_record, lines))
        blocks.append(block)
    return "\n\n".join(blocks)


def _record(line):
    head = RECORD.match(line)
    if not head:
        return f"    {line.strip()}"
    names = ", ".join(f"``{name}``" for name in head[1].split(", "))
    return f"{names}\n    {line[head.end() :]}"


def constant(value):
    """What a constant holds: its value where that is short, else its keys or its entries."""
    source = ast.unparse(value)
    if isinstance(value, ast.Dict) and all(isinstance(v, ast.Constant) for v in value.values):
        items = (
            f"``{ast.unparse(k)}``\n    {v.value}"
            for k, v in zip(value.keys, value.values, strict=True)
        )
        return ".. rst-class:: parameters\n\n" + "\n".join(items)
    if isinstance(value, ast.Dict) and len(source) > LONG:
        return f"A dictionary; its keys are {_series(value.keys)}."
    if isinstance(value, ast.Tuple):
        return f"{len(value.elts)} entries: {_series(value.elts)}."
    return inspect.cleandoc(f"``{source}``")


def _series(values):
    return ", ".join(f"``{ast.unparse(value)}``" for value in values)


def resolve_in_library(app, env, node, contnode):
    """Lead a docstring's mention of what has no entry of its own to its source.

    Names of other packages stay words. Any other name is a mistake, and fails the build.
    """
    module = node.get("py:module")
    if node.get("refdomain") != "py" or not module:
        return None
    target = node["reftarget"]
    shelf = library(env.srcdir)
    room = module.removeprefix(f"{PACKAGE}.").split(".")[0]
    parts = target.split(".")
    inside = [f"{module}.{node['py:class']}"] if node.get("py:class") else []
    homes = [*inside, module, *(_dotted(path, shelf.root) for path in shelf.files(room))]
    for name in [target, *(f"{home}.{target}" for home in homes)]:
        try:
            found = shelf.find(name)
        except UnknownNameError:
            continue
        if found.name in shelf.public:
            return _to_entry(app, node, found.name, contnode)
        return link_to_source(found, contnode.astext())
    if shelf.module(target).path and target.startswith(f"{PACKAGE}."):
        return link_to_source(shelf.module(target), contnode.astext())
    return contnode if parts[0] in OTHERS else None


def _dotted(path, root):
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _to_entry(app, node, name, contnode):
    objects = app.env.domaindata["py"]["objects"]
    if name not in objects:
        return contnode
    found = objects[name]
    return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contnode, name)


def setup(app):
    app.add_directive("room", Room)
    app.add_directive("rooms", Rooms)
    app.add_directive("twins", Twins)
    app.connect("missing-reference", resolve_in_library)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
