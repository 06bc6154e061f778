"""Values between processes: exact, or malformed; never anything else."""

import contextlib
import json
import socket
import struct
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.grading.sandbox.values import decode, encode
from course_lib.grading.sandbox.wire import Channel, ChannelClosed, MalformedFrame

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
)
KEYS = st.booleans() | st.integers() | st.text() | st.binary()
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
WORDS = st.sampled_from(
    [
        "plain",
        "int",
        "float",
        "complex",
        "bytes",
        "slice",
        "list",
        "set",
        "dict",
        "array",
        "number",
        "dtype",
        "size",
        "tensor",
        "torch dtype",
        "derived",
        "0x1p9999",
        "<f8",
        "float32",
        "O",
    ]
)


def there_and_back(value):
    buffers = []
    message = encode(value, buffers, lambda thing: ["mine", 1, type(thing).__name__])
    return decode(json.loads(json.dumps(message)), buffers, lambda handle, plain: (handle, plain))


def same(one, other):
    if type(one) is not type(other):
        return False
    if type(one) in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is dict:
        return same(list(one.items()), list(other.items()))
    return repr(one) == repr(other)  # -0.0, nan


@settings(max_examples=150, deadline=None)
@given(PLAIN)
def test_plain_data_cross_exactly(value):
    assert same(there_and_back(value), value)


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", ">f8", "c16", "U3"])
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_arrays_cross_exactly(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    again = there_and_back(array)
    assert (type(again), again.dtype, again.shape) == (np.ndarray, array.dtype, shape)
    assert (again == array).all()


@pytest.mark.parametrize(
    "value",
    [
        *(np.float32(0.1), np.int64(-5), np.bool_(True), slice(1, None, 2), ...),
        *(range(3, -9, -2), Fraction(-22, 7), Decimal("1.20"), Decimal("NaN")),
    ],
)
def test_numbers_and_slices(value):
    assert same(there_and_back(value), value)


def test_what_derives_from_plain_data_crosses_as_its_base():
    kind = type("Liar", (float,), {"__eq__": lambda *_: True})
    handle, plain = there_and_back(kind(0.5))
    assert handle == ["mine", 1, "Liar"]
    assert same(plain, 0.5)


def test_an_array_of_objects_crosses_as_one_handle():
    assert there_and_back(np.array([None])) == (["mine", 1, "ndarray"], None)


@settings(max_examples=400, deadline=None)
@given(JSON | st.lists(WORDS | JSON | st.lists(WORDS | JSON)), st.lists(st.binary(), max_size=2))
def test_anything_else_is_malformed(message, buffers):
    def resolve(*_):
        raise MalformedFrame("no handle")

    with contextlib.suppress(MalformedFrame):
        decode(message, buffers, resolve)


@pytest.mark.parametrize(
    "message",
    [["float", "0x1p9999"], ["bytes", 5], ["set", ["list"]], ["array", "O", [1], 0, 0], 5, []],
)
def test_malformed(message):
    with pytest.raises(MalformedFrame, match="no value"):
        decode(message, [], lambda *_: int("a handle that was never given"))


@pytest.mark.parametrize(
    "data, error, message",
    [
        (b"\xff\xff\xff\xff", MalformedFrame, "a frame of 4294967295 bytes, at most"),
        (struct.pack("<I", 9) + b"[1]", ChannelClosed, "the other side is gone"),
        (struct.pack("<I", 3) + b"[1]", MalformedFrame, "no message with its buffers"),
        (struct.pack("<I", 9) + b"[1, [-1]]", MalformedFrame, "impossible lengths"),
        (struct.pack("<I", 11) + b"[1, [1e99]]", MalformedFrame, "impossible lengths"),
        (struct.pack("<I", 9999) + b"[" * 9999, MalformedFrame, "no message with its buffers"),
        (b"", ChannelClosed, "the other side is gone"),
    ],
)
def test_frames_that_are_none(data, error, message):
    here, there = socket.socketpair()
    with here, there:
        there.sendall(data)
        there.shutdown(socket.SHUT_WR)
        with pytest.raises(error, match=message):
            Channel(here).receive()
