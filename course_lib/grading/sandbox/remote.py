"""Two processes that use each other's objects: plain data by value, the rest by handle.

:class:`Link` is one end of a channel, the same on both sides. Who calls waits for the answer, and
meanwhile answers what the other side asks in order to find it: a function of the judge that was
passed to the submission runs in the judge. What an end answers is up to its `serve`: the
submission's answers everything, the judge's only questions about what it passed.
"""

import builtins
import operator
import sys
import weakref
from collections import OrderedDict

import numpy as np

from course_lib.grading.sandbox.cells import CellTimeout
from course_lib.grading.sandbox.values import (
    decode,
    encode,
    is_array,
    is_mutable,
    is_tensor,
    raw,
)
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
REMEMBERED = 256  # arrays and lists that an end knows again when they come back
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

    def tells_of(self, argument):
        """Whether an answer says how a call has changed this argument."""
        return type(argument) in (list, dict, set)

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

    def name(self, value):
        """Return JSON by which the other side knows an array, a list or a dict again, or None."""
        return None

    def instead(self, value):
        """Return what is sent in the place of a value that the other side has, or None."""
        return None

    def named(self, name, value):
        """Return what is taken for a value of that name."""
        return value

    def encode(self, value, buffers):
        """Return the JSON of a value, which the other side will know again."""
        return encode(value, buffers, self.handle, self.name, self.instead)

    def pack(self, value):
        """Return the JSON and the buffers of a value."""
        buffers = []
        return self.encode(value, buffers), buffers

    def found(self, message):
        """Return the array of this side that a message names, or None."""
        return None

    def unpack(self, message, buffers, path):
        """Return the value of what the other side packed."""

        def resolve(handle, plain):
            known = self.found(handle)
            if known is not None:
                return known
            match handle:
                case ["yours", int(number)] if number in self.objects:
                    return self.objects[number]
                case ["mine", int(), str()] | ["copy", str()]:
                    return self.wrap(self, handle, plain, path)
            raise MalformedFrame("a handle that was never given")

        return decode(message, buffers, resolve, self.named)

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
            message, buffers = self.receive()
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
        """Bring what a call did to arguments that it was passed to the originals."""
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
            if is_array(original) and is_array(now):
                overwrite(original, raw(now))
            elif type(original) is type(now) is list:
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
            value = self.encode(result, reply)
            message = ["value", value, changed, self.said()]
        except (Lost, ChannelClosed):
            raise
        except BaseException as error:
            message, reply = ["error", *describe(error), self.trace(error), self.said()], []
        self._send(message, reply)

    def _changed(self, arguments, packed, buffers, reply):
        """Pack those arguments of a call that it has changed and that this end tells of."""
        changed = {}
        _, _, positional, named = unnamed(packed)
        for outer, message in ((1, positional), (2, named)):
            values, messages = arguments[outer], unnamed(message)[1:]
            keys = list(values) if isinstance(values, dict) else range(len(values))
            for key, message in zip(keys, messages, strict=True):
                message = message[1] if isinstance(values, dict) else message
                if not self.tells_of(values[key]) or message[0] == "lent":
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

    def receive(self):
        """Wait for a message; return it and its buffers, or raise Lost."""
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

    What it gives away it knows again when it comes back: a function that keeps an array, or gets
    back the list that it returned, finds the very same one, as it would without two processes.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.borrowed, self.numbers = {}, {}
        self.kept = Recent()

    def name(self, value):
        """Keep what is given away, and name it."""
        self.kept[id(value)] = value
        return [0, id(value)]

    def instead(self, value):
        """Return the number of a borrowed array, which its owner has."""
        number = self.numbers.get(id(value))
        if number is None or self.array(number) is not value:
            return None
        return ["lent", number]

    def named(self, name, value):
        """Return the array or list that is known by this name, or note the new one."""
        match name:
            case [int(number), int(own)]:
                known = self.kept.get(own, self.array(number))
                if type(known) is type(value) and not is_array(value):
                    return known
                if is_array(known) and brought_up_to_date(known, value):
                    value = known
                if number and is_array(value):
                    self.borrowed[number] = (value, weakref.ref(value), raw(value))
                    self.numbers[id(value)] = number
        return value

    def array(self, number):
        """Return the borrowed array of a number, if it is still in use."""
        array, reference, _ = self.borrowed.get(number, (None, lambda: None, b""))
        return reference() if array is None else array

    def _bring_up_to_date(self, number, data):
        """Write into a borrowed array what a check wrote into its own."""
        array, (_, reference, _) = self.array(number), self.borrowed.get(number, (None,) * 3)
        if array is not None:
            overwrite(array, data)
            self.borrowed[number] = (None, reference, raw(array))

    def forget(self):
        """Forget all arrays: the call that brought them is over."""
        self.borrowed.clear()
        self.numbers.clear()

    def receive(self):
        """As of every Link; hear on the way which arrays are gone or written over there."""
        while True:
            message, buffers = super().receive()
            match message, buffers:
                case ["gone", [*numbers]], _:
                    for number in numbers:
                        self.borrowed.pop(number, None)
                case ["write", int(number)], [data]:
                    self._bring_up_to_date(number, data)
                case _:
                    return message, buffers

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
    """An end whose arrays the other side may write into.

    What a message names is held until the next one: a function of a check may have made it for its
    answer alone. Then the other side is told what is gone, and sends its copy if it has one. It is
    told too what a check has written into an array since, before it is asked anything: it may have
    kept the array.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.lent = {}
        self.named_now, self.held, self.gone = [], [], []
        self.received = Recent()

    def name(self, value):
        """Lend an array: give it a number; and say what came from the other side unchanged."""
        number = 0
        if is_array(value) and (is_tensor(value) or value.flags.writeable):
            number = id(value)
            reference = weakref.ref(value, lambda _: self.gone.append(number))
            self.lent[number] = (reference, self._to_watch(value))
            self.named_now.append(value)
        own, known, before = self.received.get(id(value), (0, None, None))
        if known is not value or self._contents(value) != before:
            own = 0
        return [number, own] if number or own else None

    def named(self, name, value):
        """Note a value of the other side, which gets it back if it is passed on unchanged."""
        match name:
            case [0, int(own)]:
                self.received[id(value)] = (own, value, self._contents(value))
        return value

    def found(self, message):
        """Return a lent array that came back."""
        match message:
            case ["lent", int(number)] if number in self.lent:
                return self.lent[number][0]()
        return None

    @staticmethod
    def _to_watch(array):
        """Bytes of an array by which to see that a check writes into it; None if it is large."""
        return raw(array) if _size(array) <= LARGE else None

    def _contents(self, value):
        buffers = []
        return bare(encode(value, buffers, lambda other: ["object", id(other)]), buffers)

    def tells_of(self, argument):
        """Arrays too: those of the other side are only copied here."""
        return is_mutable(argument)

    def forget(self):
        """Take all arrays back."""
        self.lent.clear()
        self.gone.clear()

    def _send(self, message, buffers):
        self.held, self.named_now = self.named_now, []
        if self.gone:
            gone, self.gone = self.gone, []
            super()._send(["gone", gone], [])
        for number, (reference, data) in list(self.lent.items()):
            array = reference()
            if array is None:
                del self.lent[number]
            elif data is not None and (now := raw(array)) != data:
                super()._send(["write", number], [now])
                self.lent[number] = (reference, now)
        super()._send(message, buffers)

    def receive(self):
        """As of every Link; write on the way what was written over there."""
        while True:
            message, buffers = super().receive()
            match message, buffers:
                case ["write", int(number)], [data] if number in self.lent:
                    reference, _ = self.lent[number]
                    array = reference()
                    if array is not None:
                        overwrite(array, data)
                        self.lent[number] = (reference, self._to_watch(array))
                case _:
                    return message, buffers


class Recent(OrderedDict):
    """The values of the last few keys that were set."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


def _size(array):
    """Bytes of an array or a tensor."""
    return array.nbytes if isinstance(array, np.ndarray) else array.numel() * array.element_size()


def brought_up_to_date(array, value):
    """Give an array the numbers of another; return whether it has them now."""
    if type(array) is not type(value) or array.shape != value.shape or array.dtype != value.dtype:
        return False
    data = raw(value)
    if raw(array) != data and (is_tensor(array) or array.flags.writeable):
        overwrite(array, data)
    return raw(array) == data


def unnamed(message):
    """Return the contents of what :func:`encode` made, without their name."""
    return message[2] if message[0] == "named" else message


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
    """Return what :func:`encode` made, with the bytes themselves and without names."""
    match message:
        case ["named", _, contents]:
            return bare(contents, buffers)
        case ["array" | "tensor" | "bytes" | "number" as kind, *rest, int(place)]:
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
    """An object of the other side that can be handed back and iterated over, and nothing else.

    It stands where the reference solution gives plain data. A submission may well keep an object of
    its own in a cache; a check that computes with one would believe whatever it answers.
    """

    __slots__ = ("_handle", "_link", "_path", "_where")
    __array_ufunc__ = None

    def __init__(self, link, handle, where, path):
        for name, value in zip(Opaque.__slots__, (handle, link, path, where), strict=True):
            object.__setattr__(self, name, value)

    def __iter__(self):
        """Yield what it yields, a generator say where the reference returns a list."""
        link, path = of(self, "_link"), beyond(self, "[]")
        iterator = link.ask("apply", "iter", [self], path=path)
        while True:
            more, value = link.ask("next", iterator, path=path)
            if more is not True:
                return
            yield value

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
        is_class = issubclass(type(found), type)  # isinstance would ask for __class__
        return found if is_class and is_of_python(found) else Remote

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
for _name in ("call", "len", "bool", "int", "float", "complex", "hash"):
    setattr(Opaque, f"__{_name}__", refuse_use)
