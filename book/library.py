"""Read the library as text: what is public in it, where it stands, and what its docstrings say.

Nothing is imported, so that the site is built without loading PyTorch, and a name is known by the
file and line that the reader will see.
"""

import ast
import difflib
import inspect
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

__all__ = ["PACKAGE", "Entry", "Library", "UnknownNameError", "library"]

PACKAGE = "course_lib"
ROOMS = (  # in the order in which a reader meets them
    *("shapes", "autodiff", "numpy_layers", "torch_layers", "models", "detection", "captioning"),
    *("data", "training", "plots", "web", "claims", "grading"),
)
FEW = 32  # characters of a default value
ERRORS = ("Error", "Exception", "Warning")


class UnknownNameError(LookupError):
    """The library has no such name."""


@dataclass(frozen=True)
class Entry:
    """A function, class, method or constant, as the reader finds it."""

    name: str  # as it is imported: course_lib.numpy_layers.conv2d_backward
    module: str  # where it is written: course_lib.numpy_layers.conv
    local: str  # its name there: conv2d_backward, or Conv2d.forward
    kind: str  # function, class, exception, data, method, property, classmethod, staticmethod
    line: int
    end: int
    signature: str = ""  # with its brackets, without types
    doc: str = ""
    value: ast.expr | None = None  # of a constant
    fields: tuple[str, ...] = ()  # of a named tuple or a data class
    members: tuple["Entry", ...] = ()

    @property
    def short(self):
        return self.name.rsplit(".", 1)[-1]


class Library:
    """The package ``course_lib`` in the folder `root`."""

    def __init__(self, root):
        self.root = Path(root)

    @cached_property
    def rooms(self):
        """Names of the rooms that exist, in the order in which they are shown."""
        folder = self.root / PACKAGE
        found = {path.parent.name for path in folder.glob("*/__init__.py")}
        found |= {path.stem for path in folder.glob("*.py")} - {"__init__"}
        return [*(room for room in ROOMS if room in found), *sorted(found - set(ROOMS))]

    @cached_property
    def public_rooms(self):
        """The rooms without ``palette``, which only the book itself uses."""
        return [room for room in self.rooms if room != "palette"]

    @lru_cache  # noqa: B019 (a library lives as long as a build)
    def module(self, name):
        return Module(self.root, name)

    def files(self, room):
        """All files of Python of a room."""
        package = self.root / PACKAGE / room
        return sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]

    @lru_cache  # noqa: B019
    def entries(self, room):
        """The public names of a room: its ``__all__``, or what it defines and does not hide."""
        module = self.module(f"{PACKAGE}.{room}")
        names = module.listed or [name for name in module.defined if not name.startswith("_")]
        found = [self._look_up(f"{module.name}.{name}") for name in names]
        if None in found:
            missing = names[found.index(None)]
            raise UnknownNameError(f"{module.name} lists `{missing}`, which it does not define")
        return tuple(entry for entry in found if module.listed or entry.kind != "data")

    @cached_property
    def public(self):
        """Every public entry by the name under which it is imported."""
        return {e.name: e for room in self.public_rooms for e in self.entries(room)}

    def code(self, entry):
        """The lines of a function, without its docstring."""
        module = self.module(entry.module)
        first, *_ = module.defined[entry.local].body
        lines = module.source.splitlines()
        said = range(first.lineno, first.end_lineno + 1) if entry.doc else ()
        kept = (lines[n - 1] for n in range(entry.line, entry.end + 1) if n not in said)
        return "\n".join(kept)

    @lru_cache  # noqa: B019
    def find(self, name):
        """The entry of a dotted name, public or not.

        Raises
        ------
        UnknownNameError
            If there is none; the message offers what is spelt alike.
        """
        found = self._look_up(name)
        if found:
            return found
        last = {entry.rsplit(".", 1)[-1]: entry for entry in self.public}
        alike = difflib.get_close_matches(name.rsplit(".", 1)[-1], last, n=3)
        hint = f"; did you mean {', '.join(last[word] for word in alike)}?" if alike else ""
        raise UnknownNameError(f"the library has no `{name}`{hint}")

    def _look_up(self, name):
        parts = name.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            module = ".".join(parts[:cut])
            if self.module(module).path:
                return self._in_module(module, parts[cut:], name)
        return None

    def _in_module(self, module, parts, name):
        read = self.module(module)
        first, *rest = parts
        if first in read.defined:
            entry = read.entry(first, f"{name.rsplit('.', len(rest))[0]}" if rest else name)
            for part in rest:
                entry = next((m for m in entry.members if m.short == part), None)
                if entry is None:
                    return None
            return entry
        origin, original = read.imported.get(first) or (self._lazily(read, first), first)
        if origin and self.module(origin).path:
            return self._in_module(origin, [original, *rest], name)
        return None

    def _lazily(self, package, name):
        """The file below `package` of a name that it lists and imports only when it is asked."""
        if name in package.listed and package.path.name == "__init__.py":
            for path in sorted(package.path.parent.glob("*.py")):
                module = f"{package.name}.{path.stem}"
                if name in self.module(module).defined:
                    return module
        return None


class Module:
    """One file of the library; its `path` is None where there is none."""

    def __init__(self, root, name):
        self.name = name
        base = Path(root).joinpath(*name.split("."))
        candidates = (base / "__init__.py", base.with_suffix(".py"))
        self.path = next((path for path in candidates if path.is_file()), None)
        self.source = self.path.read_text(encoding="utf-8") if self.path else ""
        self.tree = ast.parse(self.source)
        self.doc = ast.get_docstring(self.tree) or ""
        self.defined, self.imported, self.listed = {}, {}, []
        for node in self.tree.body:
            self._take(node)

    def _take(self, node):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.defined[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name == "__all__":
                self.listed = ast.literal_eval(node.value)
            else:
                self.defined[name] = node
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                self.imported[alias.asname or alias.name] = (node.module, alias.name)

    def entry(self, local, name):
        """The entry of what is defined here as `local` and imported as `name`."""
        node = self.defined[local]
        where = {"name": name, "module": self.name, "local": local, "end": node.end_lineno}
        if isinstance(node, ast.Assign):
            return Entry(kind="data", line=node.lineno, value=node.value, **where)
        where["line"] = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        where["doc"] = ast.get_docstring(node) or ""
        if isinstance(node, ast.FunctionDef):
            return Entry(kind="function", signature=self._signature(node.args), **where)
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign)] if _is_record(node) else []
        kind = "exception" if any(_ends(b).endswith(ERRORS) for b in node.bases) else "class"
        return Entry(
            kind=kind,
            signature="" if kind == "exception" else self._construction(node, fields),
            fields=tuple(field.target.id for field in fields),
            members=tuple(self._members(node, name)),
            **where,
        )

    def _members(self, node, name):
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
                marks = [_ends(decorator) for decorator in item.decorator_list]
                kind = next((m for m in marks if m in MARKS), "method")
                bound = kind != "staticmethod"
                yield Entry(
                    name=f"{name}.{item.name}",
                    module=self.name,
                    local=f"{node.name}.{item.name}",
                    kind="property" if kind == "cached_property" else kind,
                    line=min([item.lineno, *(d.lineno for d in item.decorator_list)]),
                    end=item.end_lineno,
                    signature="" if "property" in kind else self._signature(item.args, skip=bound),
                    doc=ast.get_docstring(item) or "",
                )

    def _construction(self, node, fields):
        """The arguments of a class: of ``__init__`` or ``__new__``, or the fields of a record."""
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name in ("__init__", "__new__"):
                return self._signature(item.args, skip=True)
        return f"({', '.join(map(_field, fields))})"

    def _signature(self, arguments, skip=False):
        """The arguments as they are written, without their types; `skip` drops ``self``."""
        arguments = ast.parse(f"def f({ast.unparse(arguments)}): pass").body[0].args
        for argument in ast.walk(arguments):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        arguments.defaults = [self._plain(value) for value in arguments.defaults]
        arguments.kw_defaults = [value and self._plain(value) for value in arguments.kw_defaults]
        if skip:
            (arguments.posonlyargs or arguments.args).pop(0)
        return f"({ast.unparse(arguments)})"

    def _plain(self, value):
        """What a constant of the module stands for, where that is a few numbers or letters."""
        named = self.defined.get(value.id) if isinstance(value, ast.Name) else None
        if not isinstance(named, ast.Assign):
            return value
        few = len(ast.unparse(named.value)) <= FEW
        return named.value if few and _is_plain(named.value) else value


MARKS = ("property", "cached_property", "classmethod", "staticmethod")


def _ends(node):
    """The last word of ``name``, ``a.name`` or ``name(...)``."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _field(node):
    if not node.value:
        return node.target.id
    value = ast.unparse(node.value)
    made = {"field(default_factory=list)": "[]", "field(default_factory=dict)": "{}"}
    return f"{node.target.id}={made.get(value, value)}"


def _is_plain(value):
    plain = ast.Constant | ast.Tuple | ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop
    return all(isinstance(node, plain | ast.expr_context) for node in ast.walk(value))


def _is_record(node):
    marks = [_ends(base) for base in node.bases] + [_ends(d) for d in node.decorator_list]
    return "NamedTuple" in marks or "dataclass" in marks


@lru_cache(maxsize=4)
def library(root):
    """The library in the folder `root`, read once."""
    return Library(root)


def summary(doc):
    """The first sentence of a docstring, on one line."""
    return " ".join(inspect.cleandoc(doc).split("\n\n")[0].split())
