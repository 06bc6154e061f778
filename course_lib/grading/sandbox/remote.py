"""Two processes that use each other's objects: plain data by value, the rest by handle.

:class:`Link` is one end of a channel, the same on both sides. Who calls waits for the answer, and
meanwhile answers what the other side asks in order to find it: a function of the judge that was
passed to the submission runs in the judge. What may be asked of an end is its `Policy`: the
submission's end answers everything, the judge's end only calls of functions that it passed.
"""

import builtins
import operator
import sys
import weakref

import numpy as np

from course_lib.grading.sandbox.cells import CellTimeout
from course_lib.grading.sandbox.values import decode, encode, raw
from course_lib.grading.sandbox.wire import ChannelClosed, MalformedFrame

__all__ = [
    "Borrower",
    "Lender",
    "Link",
    "Lost",
    "Opaque",
    "OpaqueValueError",
    "Remote",
    "do",
    "is_handle",
    "named",
]

OPERATORS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "matmul", "pow", "lshift", "rshift"),
    *("and_", "or_", "xor", "lt", "le", "eq", "ne", "gt", "ge"),
    *("getitem", "setitem", "delitem", "contains", "neg", "pos", "abs", "invert"),
)
BUILTINS = ("len", "iter", "bool", "int", "float", "complex", "hash", "str", "repr")
ADDRESSES = (  # by these libraries ask for a place in memory, and believe what they are told
    *("__array_interface__", "__array_struct__", "__cuda_array_interface__", "__dlpack__"),
    *("__dlpack_device__", "__dataframe__", "__arrow_c_array__", "__arrow_c_stream__"),
)
HEAP_TYPE = 1 << 9  # a flag of types in CPython's object.h: made by a class statement
LARGE = 1 << 16  # bytes of an array
CALLBACK = "an argument of a function of a check"  # a path
MAX_MESSAGE = 4000  # characters of an error


class Lost(BaseException):
    """The other side ended, or does not keep to the protocol; no `except Exception` catches it.

    `late` says that it did not answer in time.
    """

    late = False


class OpaqueValueError(TypeError):
    """A check used an object where the reference solution gives plain data."""


class Link:
    """One end of a channel between two processes.

    Parameters
    ----------
    channel : Channel
    serve : callable
        ``serve(link, verb, arguments)`` answers what the other side asks, or raises.
    wrap : callable
        ``wrap(link, handle, plain, path)`` makes a value of a handle of the other side.
    """

    def __init__(self, channel, serve, wrap):
        self.channel, self.serve, self.wrap = channel, serve, wrap
        self.objects = {}
        self.lost = None

    def circumstances(self):
        """Return what the other side needs to know of a call besides its arguments."""
        return {}

    def trace(self, error):
        """Return lines that say where in this process an error was raised."""
        return []

    def said(self):
        """Return what was printed in this process since the last answer."""
        return ""

    def hear(self, text):
        """Take note of what was printed in the other process."""

    def copy_of(self, value):
        """Return a handle by which the other side gets a copy, or None."""
        return None

    # -- values

    def handle(self, value):
        """Return a handle for an object of this side, or give back one of the other side."""
        if is_handle(value):
            return ["yours", identity(value)]
        copy = self.copy_of(value)
        if copy is not None:
            return copy
        self.objects[id(value)] = value
        kind = value if isinstance(value, type) else type(value)
        where = f"{kind.__module__}.{kind.__qualname__}"[:200]
        return ["mine", id(value), where]

    def share(self, array):
        """Return a number by which the other side may write into an array of this one, or 0."""
        return 0

    def note(self, number, array, data):
        """Take note of an array of the other side that is copied here."""

    def pack(self, value):
        """Return the JSON and the buffers of a value."""
        buffers = []
        return encode(value, buffers, self.handle, self.share), buffers

    def unpack(self, message, buffers, path):
        """Return the value of what the other side packed."""

        def resolve(handle, plain):
            match handle:
                case ["yours", int(number)] if number in self.objects:
                    return self.objects[number]
                case ["mine", int(), str()] | ["copy", str()]:
                    return self.wrap(self, handle, plain, path)
            raise MalformedFrame("a handle that was never given")

        return decode(message, buffers, resolve, self.note)

    # -- asking

    def ask(self, verb, *arguments, path="", **options):
        """Ask the other side, and answer what it asks before it answers.

        Parameters
        ----------
        verb : str
            One of those of :func:`do`, or another that the other side knows.
        arguments
            Values, each packed.
        path : str
            Says where the answer comes from, for `wrap`.

        Raises
        ------
        Lost
            If there is no answer.
        Exception
            What was raised there, under the same name.
        """
        packed, buffers = self.pack(list(arguments))
        self._send(["ask", verb, packed, options], buffers)
        while True:
            message, buffers = self._receive()
            match message:
                case ["ask", str(asked), theirs, dict(given)]:
                    self.answer(asked, theirs, buffers, given)
                case ["value", value, dict(changed), str(said)]:
                    self.hear(said)
                    try:
                        self._write_back(arguments, changed, buffers)
                        return self.unpack(value, buffers, path)
                    except MalformedFrame as error:
                        raise self.end(f"an answer that is no value: {error}") from None
                case ["error", *description, str(said)]:
                    self.hear(said)
                    raise rebuild(description) or self.end("an error that is none")
                case _:
                    raise self.end("an answer that is none")

    def end(self, reason):
        """Note that the other side is lost, and return the error to raise."""
        self.lost = Lost(reason)
        return self.lost

    def _write_back(self, arguments, changed, buffers):
        """Bring what a call did to lists and dicts that it was passed to the originals."""
        for place, message in changed.items():
            outer, _, key = place.partition("/")
            originals = {"1": arguments[1:2], "2": arguments[2:3]}.get(outer)
            if not originals or type(originals[0]) not in (list, dict):
                raise MalformedFrame("a change of an argument that was never passed")
            try:
                original = originals[0][int(key) if type(originals[0]) is list else key]
            except (ValueError, LookupError) as error:
                raise MalformedFrame("a change of an argument that was never passed") from error
            now = self.unpack(message, buffers, "an argument")
            if type(original) is type(now) is list:
                original[:] = now
            elif type(original) is type(now) and type(now) in (dict, set):
                original.clear()
                original.update(now)

    # -- answering

    def answer(self, verb, packed, buffers, options):
        """Answer one question."""
        try:
            arguments = self.unpack(packed, buffers, CALLBACK)
            result = self.serve(self, verb, arguments, options)
            changed, reply = {}, []
            if verb == "call":
                changed = self._changed(arguments, packed, buffers, reply)
            value = encode(result, reply, self.handle, self.share)
            message = ["value", value, changed, self.said()]
        except (Lost, ChannelClosed):
            raise
        except BaseException as error:
            message, reply = ["error", *describe(error), self.trace(error), self.said()], []
        self._send(message, reply)

    def _changed(self, arguments, packed, buffers, reply):
        """Pack those lists, dicts and sets among the arguments of a call that it has changed."""
        changed = {}
        for outer, messages in ((1, packed[2][1:]), (2, packed[3][1:])):
            values = arguments[outer]
            keys = list(values) if isinstance(values, dict) else range(len(values))
            for key, message in zip(keys, messages, strict=True):
                message = message[1] if isinstance(values, dict) else message
                if type(values[key]) not in (list, dict, set):
                    continue
                now = []
                if bare(encode(values[key], now, self.handle), now) != bare(message, buffers):
                    changed[f"{outer}/{key}"] = encode(values[key], reply, self.handle)
        return changed

    def _send(self, message, buffers):
        try:
            self.channel.send(message, buffers)
        except ChannelClosed as error:
            raise self.end("the other side ended") from error

    def _receive(self):
        try:
            return self.channel.receive()
        except (ChannelClosed, MalformedFrame) as error:
            raise self.end(str(error)) from error
        except CellTimeout:
            lost = self.end("no answer in time")
            lost.late = True
            raise lost from None


class Borrower(Link):
    """An end that holds copies of the other side's arrays, and tells what it wrote into them.

    It tells so before anything else that it says, so that the other side never sees an old array;
    of large arrays only in its answers, since to look through them each time would take long.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.borrowed = {}

    def note(self, number, array, data):
        """Remember an array, its number over there, and the bytes that it came with."""
        self.borrowed[number] = (array, weakref.ref(array), data)

    def forget(self):
        """Forget all arrays: the call that brought them is over."""
        self.borrowed.clear()

    def _send(self, message, buffers):
        for number, (array, reference, data) in list(self.borrowed.items()):
            if len(data) > LARGE and message[0] == "ask":
                continue
            array = reference() if array is None else array
            if array is None:
                del self.borrowed[number]
                continue
            now = raw(array)
            if now != data:
                super()._send(["write", number], [now])
            self.borrowed[number] = (None, reference, now)  # from now on only while it is in use
        super()._send(message, buffers)


class Lender(Link):
    """An end whose arrays the other side may write into."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.lent = {}

    def share(self, array):
        """Lend an array: give it a number."""
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            return 0
        self.lent[id(array)] = weakref.ref(array)
        return id(array)

    def forget(self):
        """Take all arrays back."""
        self.lent.clear()

    def _receive(self):
        while True:
            message, buffers = super()._receive()
            match message, buffers:
                case ["write", int(number)], [data] if number in self.lent:
                    overwrite(self.lent[number](), data)
                case _:
                    return message, buffers


def overwrite(array, data):
    """Write bytes into an array or a tensor, if it is there and they fit."""
    if array is None:
        return
    if not isinstance(array, np.ndarray):
        array = array.detach().numpy()
    if len(data) == array.nbytes:
        array[...] = np.frombuffer(data, array.dtype).reshape(array.shape)


def do(verb, arguments):
    """Do what one end may ask of an object of the other."""
    match verb, arguments:
        case "call", [function, positional, named]:
            return function(*positional, **named)
        case "attribute", [thing, name]:
            return getattr(thing, name)
        case "set attribute", [thing, name, value]:
            return setattr(thing, name, value)
        case "operate", [name, operands] if name in OPERATORS:
            return getattr(operator, name)(*operands)
        case "apply", [name, [thing]] if name in BUILTINS:
            return getattr(builtins, name)(thing)
        case "next", [iterator]:
            try:
                return True, next(iterator)
            except StopIteration:
                return False, None
    raise ValueError(f"{verb} is nothing that can be asked")


def bare(message, buffers):
    """Return what :func:`encode` made, with the bytes themselves and without numbers of arrays."""
    match message:
        case ["array", dtype, shape, _, int(place)]:
            return ["array", dtype, shape, buffers[place]]
        case ["tensor", dtype, shape, grad, _, int(place)]:
            return ["tensor", dtype, shape, grad, buffers[place]]
        case ["bytes" | "number" as kind, *rest, int(place)]:
            return [kind, *rest, buffers[place]]
        case list():
            return [bare(part, buffers) if isinstance(part, list) else part for part in message]
    return message


def describe(error):
    """Return the names of an error's type and of those that it derives from, and its message."""
    names = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, BaseException)]
    try:
        message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    except BaseException:  # a submission's error may raise when it is asked for its text
        message = ""
    return names[:20], message[:MAX_MESSAGE]


def rebuild(description):
    """Return an error like the one that was described, or None if that is no description."""
    match description:
        case [[*names], str(message), [*lines]] if all(isinstance(n, str) for n in names):
            pass
        case _:
            return None
    known = (getattr(builtins, name, None) for name in names)
    base = next((k for k in known if isinstance(k, type) and issubclass(k, Exception)), Exception)
    kind = base
    if names and names[0] != base.__name__ and names[0].isidentifier():
        kind = type(names[0][:80], (base,), {})
    try:
        error = kind(message)
    except TypeError:  # UnicodeDecodeError and a few more want other arguments
        error = Exception(message)
    error.far_traceback = [str(line)[:MAX_MESSAGE] for line in lines[:40]]
    return error


class Opaque:
    """An object of the other side that can be handed back, and nothing else.

    It stands where the reference solution gives plain data. A submission may well keep an object of
    its own in a cache; a check that computes with one would believe whatever it answers.
    """

    __slots__ = ("_handle", "_path", "_where")
    __array_ufunc__ = None

    def __init__(self, handle, where, path):
        for name, value in zip(Opaque.__slots__, (handle, path, where), strict=True):
            object.__setattr__(self, name, value)

    def __getattr__(self, name):
        if name.startswith("__"):  # asked by Python and NumPy, which go on without
            raise AttributeError(name)
        refuse_use(self)

    def __repr__(self):
        return f"<{self._where} of the submission>"


def refuse_use(self, *_, **__):
    """Stand in for every use of an Opaque."""
    raise OpaqueValueError(
        f"{self._path} is an object of type {self._where}, expected plain numbers, arrays, "
        f"strings or lists and dicts of them"
    )


class Remote:
    """An object of the other side; what is done with it is done there."""

    __slots__ = ("_handle", "_link", "_path", "_where")
    __array_ufunc__ = None  # NumPy leaves `array + remote` to the object

    def __init__(self, link, handle, where, path):
        for name, value in zip(Remote.__slots__, (handle, link, path, where), strict=True):
            object.__setattr__(self, name, value)

    @property
    def __class__(self):
        """The class, if it is one of a library: for isinstance."""
        module, _, name = of(self, "_where").rpartition(".")
        found = getattr(sys.modules.get(module), name, None)
        return found if isinstance(found, type) and is_of_python(found) else Remote

    def __getattr__(self, name):
        if name in ADDRESSES:
            raise AttributeError(name)
        return of(self, "_link").ask("attribute", self, name, path=beyond(self, f".{name}"))

    def __setattr__(self, name, value):
        of(self, "_link").ask("set attribute", self, name, value)

    def __call__(self, *arguments, **options):
        link = of(self, "_link")
        return link.ask(
            "call",
            self,
            list(arguments),
            options,
            path=beyond(self, "()"),
            **link.circumstances(),
        )

    def __next__(self):
        more, value = of(self, "_link").ask("next", self, path=beyond(self, "[]"))
        if not more:
            raise StopIteration
        return value


def is_of_python(kind):
    """Whether a class has no layout in C: code in C would take a Remote for one of its own."""
    return all(base.__flags__ & HEAP_TYPE for base in kind.__mro__ if base is not object)


def is_handle(value):
    """Whether a value stands for an object of the other side."""
    return issubclass(type(value), Remote | Opaque)


def named(kind, where):
    """Return a class like `kind` with the name of the type that an object has over there."""
    name = where.rpartition(".")[2]
    return type(name if name.isidentifier() else kind.__name__, (kind,), {"__slots__": ()})


def of(remote, name):
    """A slot of a Remote, whose attributes are those of the other side."""
    return object.__getattribute__(remote, name)


def beyond(remote, step):
    """Path of what is got from a Remote; inside a function of a check there is one for all."""
    path = of(remote, "_path")
    return path if path == CALLBACK else path + step


def identity(value):
    """Number of the object that a Remote or an Opaque stands for."""
    return object.__getattribute__(value, "_handle")


def _operation(name, swapped=False):
    def operate(self, *others):
        operands = (*others, self) if swapped else (self, *others)
        path = of(self, "_path")
        return of(self, "_link").ask("operate", name, list(operands), path=path)

    return operate


def _builtin(name):
    def apply(self):
        return of(self, "_link").ask("apply", name, [self], path=beyond(self, "[]"))

    return apply


for _name in OPERATORS:
    _plain = _name.strip("_")
    setattr(Remote, f"__{_plain}__", _operation(_name))
    setattr(Opaque, f"__{_plain}__", refuse_use)
    if hasattr(operator, f"i{_plain}"):  # those with two operands of one kind
        setattr(Remote, f"__r{_plain}__", _operation(_name, swapped=True))
        setattr(Opaque, f"__r{_plain}__", refuse_use)
for _name in BUILTINS:
    setattr(Remote, f"__{_name}__", _builtin(_name))
for _name in ("call", *BUILTINS[:-2]):
    setattr(Opaque, f"__{_name}__", refuse_use)
