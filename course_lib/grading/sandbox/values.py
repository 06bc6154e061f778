"""Values in frames: plain data by value, everything else by handle.

Nothing is unpickled that the submission sent. A value crosses with its exact type if it is None, a
bool, number, string, bytes, slice, range, a NumPy array, number or dtype, a tensor, or a list,
tuple, set or dict of such. What derives from one of these types crosses as its base, so that no
operator that a submission defined crosses with it. Of anything else only a handle crosses.
"""

import re
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np

from course_lib.grading.sandbox.wire import MalformedFrame

__all__ = ["decode", "encode", "is_array", "is_mutable", "is_tensor", "raw"]

MAX_DEPTH = 60  # of lists in lists
DTYPE = re.compile(r"[<>|=]?([?bBhHiIlLqQefdgFDG]|[biufc]\d{1,2}|U\d{1,5})")
TORCH_DTYPES = (
    *("bool", "uint8", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
SCALARS = (int, float, complex, bytes, slice, range, Fraction, Decimal)
CONTAINERS = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
MAKERS = {name: kind for kind, name in CONTAINERS.items()}
PLAIN_BASES = {  # how the plain part of what derives from a type is got, past its own methods
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
    np.ndarray: lambda value: np.ndarray.view(value, np.ndarray),
}


def encode(value, buffers, handle, name=None, instead=None):
    """Turn a value into JSON; append its arrays to `buffers`.

    Parameters
    ----------
    value
        Anything.
    buffers : list of bytes
        Grows.
    handle : callable
        Gets what is not plain data and returns JSON for it, a list that begins with another word
        than those used here.
    name : callable, optional
        Gets each array, tensor, list, dict and set, and returns JSON by which the other side knows
        it again, or None.
    instead : callable, optional
        Gets the same, and returns what is sent in the place of its contents, or None.

    Returns
    -------
    list
    """
    return Encoder(buffers, handle, name or _nothing, instead or _nothing).encode(value, 0)


def _nothing(_):
    return None


class Encoder:
    """The state of one :func:`encode`."""

    def __init__(self, buffers, handle, name, instead):
        self.buffers, self.handle, self.name, self.instead = buffers, handle, name, instead

    def encode(self, value, depth):
        """Return the JSON of a value inside `depth` others."""
        if depth > MAX_DEPTH:
            return self.handle(value)
        if not is_mutable(value):
            return self.contents(value, depth)
        replacement = self.instead(value)
        if replacement is not None:
            return replacement
        contents, name = self.contents(value, depth), self.name(value)
        return contents if name is None else ["named", name, contents]

    def contents(self, value, depth):
        """Return the JSON of what a value holds."""
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return ["plain", value]
        if kind in SCALARS or value is Ellipsis:
            return self.scalar(value, kind, depth)
        if kind in CONTAINERS:
            return [CONTAINERS[kind], *(self.encode(part, depth + 1) for part in value)]
        if kind is dict:
            pairs = value.items()
            return ["dict", *([self.encode(part, depth + 1) for part in pair] for pair in pairs)]
        return (
            self.array(value, kind)
            or self.tensor(value, kind)
            or self.derived(value, kind, depth)
            or self.handle(value)
        )

    def scalar(self, value, kind, depth):
        """Numbers exactly, in hexadecimal digits."""
        if kind is int:
            return ["int", hex(value)]
        if kind is float:
            return ["float", value.hex()]
        if kind is complex:
            return ["complex", value.real.hex(), value.imag.hex()]
        if kind is Fraction:
            return ["fraction", hex(value.numerator), hex(value.denominator)]
        if kind is Decimal:
            return ["decimal", str(value)]
        if kind is range:
            return ["range", hex(value.start), hex(value.stop), hex(value.step)]
        if kind is bytes:
            return ["bytes", self.buffer(value)]
        if kind is slice:
            parts = (value.start, value.stop, value.step)
            return ["slice", *(self.encode(part, depth + 1) for part in parts)]
        return ["ellipsis"]

    def array(self, value, kind):
        """NumPy's arrays and numbers; None for others."""
        if kind is np.ndarray and DTYPE.fullmatch(value.dtype.str):
            place = self.buffer(np.ascontiguousarray(value).tobytes())
            return ["array", value.dtype.str, list(value.shape), place]
        if isinstance(value, np.generic) and DTYPE.fullmatch(value.dtype.str):
            return ["number", value.dtype.str, self.buffer(value.tobytes())]
        if isinstance(value, np.dtype) and DTYPE.fullmatch(value.str):
            return ["dtype", value.str]
        return None

    def tensor(self, value, kind):
        """PyTorch's dense tensors; None for others."""
        torch = sys.modules.get("torch")
        if torch is None:
            return None
        if kind is torch.Size:
            return ["size", *map(int, value)]
        if kind is torch.dtype:
            return ["torch dtype", str(value).removeprefix("torch.")]
        if kind not in (torch.Tensor, torch.nn.Parameter) or value.layout is not torch.strided:
            return None
        name = str(value.dtype).removeprefix("torch.")
        if name not in TORCH_DTYPES:
            return None
        shape, needs_grad = list(value.shape), bool(value.requires_grad)
        return ["tensor", name, shape, needs_grad, self.buffer(raw(value))]

    def derived(self, value, kind, depth):
        """What derives from plain data, as its base, beside a handle to itself."""
        base = next((base for base in PLAIN_BASES if base in kind.__mro__), None)
        if base is None or kind is base:  # an array of objects derives from nothing
            return None
        plain = PLAIN_BASES[base](value)
        if type(plain) is not base:
            return None
        return ["derived", self.encode(plain, depth + 1), self.handle(value)]

    def buffer(self, data):
        """Append bytes; return their place."""
        self.buffers.append(data)
        return len(self.buffers) - 1


def is_mutable(value):
    """Whether a value is plain data that can be changed in place."""
    return type(value) in (np.ndarray, list, dict, set) or is_tensor(value)


def is_tensor(value):
    """Whether a value is a tensor of PyTorch, and no other class."""
    torch = sys.modules.get("torch")
    return torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter)


def is_array(value):
    """Whether a value is an array or a tensor."""
    return type(value) is np.ndarray or is_tensor(value)


def raw(array):
    """Bytes of an array or a tensor."""
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array).tobytes()
    data = array.detach().cpu().contiguous().reshape(-1)
    return data.view(sys.modules["torch"].uint8).numpy().tobytes()


def decode(message, buffers, resolve, named=None):
    """Turn what :func:`encode` made into a value again.

    Parameters
    ----------
    message : list
    buffers : list of bytes
    resolve : callable
        Gets a handle, and for what derives from plain data also that data, and returns a value.
    named : callable, optional
        Gets the name of a value that has one, and the value, and returns what is taken for it.

    Raises
    ------
    MalformedFrame
        If it is nothing that :func:`encode` makes.
    """
    decoder = Decoder(buffers, resolve, named or (lambda _, value: value))
    try:
        return decoder.decode(message, 0)
    except MalformedFrame:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise MalformedFrame(f"no value: {error}") from error
    except (RuntimeError, MemoryError) as error:  # too deep, or PyTorch cannot make it
        raise MalformedFrame(f"no value: {error}") from error


class Decoder:
    """The state of one :func:`decode`."""

    def __init__(self, buffers, resolve, named):
        self.buffers, self.resolve, self.named = buffers, resolve, named

    def decode(self, message, depth):
        """Return the value of a message inside `depth` others."""
        if depth > MAX_DEPTH + 2:
            raise MalformedFrame("a value that is nested too deeply")
        kind, *rest = message
        if kind in MAKERS:
            return MAKERS[kind](self.decode(part, depth + 1) for part in rest)
        match kind, rest:
            case "plain", [value] if value is None or type(value) in (bool, str):
                return value
            case "int", [text]:
                return int(text, 16)
            case "float", [text]:
                return float.fromhex(text)
            case "complex", [real, imaginary]:
                return complex(float.fromhex(real), float.fromhex(imaginary))
            case "fraction", [numerator, denominator]:
                return Fraction(int(numerator, 16), int(denominator, 16))
            case "decimal", [str(text)]:
                return Decimal(text)
            case "range", [_, _, _]:
                return range(*(int(text, 16) for text in rest))
            case "bytes", [place]:
                return self.buffers[place]
            case "ellipsis", []:
                return Ellipsis
            case "slice", [_, _, _]:
                return slice(*(self.decode(part, depth + 1) for part in rest))
            case "dict", _:
                return {
                    self.decode(key, depth + 1): self.decode(value, depth + 1)
                    for key, value in rest
                }
            case "named", [name, contents]:
                return self.named(name, self.decode(contents, depth + 1))
            case "derived", [plain, handle]:
                return self.resolve(handle, self.decode(plain, depth + 1))
        return self.array(kind, rest, message)

    def array(self, kind, rest, message):
        """Arrays, tensors and their types; whatever is left is a handle."""
        match kind, rest:
            case "array", [dtype, shape, place] if DTYPE.fullmatch(dtype):
                return np.frombuffer(self.buffers[place], dtype).reshape(shape).copy()
            case "number", [dtype, place] if DTYPE.fullmatch(dtype):
                return np.frombuffer(self.buffers[place], dtype)[0]
            case "dtype", [dtype] if DTYPE.fullmatch(dtype):
                return np.dtype(dtype)
            case "size", sizes:
                return _torch().Size(sizes)
            case "torch dtype", [name] if name in TORCH_DTYPES:
                return getattr(_torch(), name)
            case "tensor", [name, shape, needs_grad, place] if name in TORCH_DTYPES:
                return self.tensor(name, shape, needs_grad, place)
        return self.resolve(message, None)

    def tensor(self, name, shape, needs_grad, place):
        torch = _torch()
        dtype, data = getattr(torch, name), self.buffers[place]
        if not data:  # then a dimension is 0: memory that nobody filled may hold anything
            return torch.zeros(0, dtype=dtype).reshape(shape)
        tensor = torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)
        return tensor.requires_grad_() if needs_grad and dtype.is_floating_point else tensor


def _torch():
    import torch

    return torch
