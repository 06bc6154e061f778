"""Frames between processes: a JSON message and buffers, of limited size."""

import json
import struct

__all__ = ["Channel", "ChannelClosed", "MalformedFrame"]

MAX_FRAME = 256 << 20  # bytes


class ChannelClosed(EOFError):
    """The other side is gone."""


class MalformedFrame(ValueError):
    """What came over the channel is no frame, or no value."""


class Channel:
    """Frames over a stream socket: a JSON object and buffers.

    Parameters
    ----------
    socket : socket.socket
        Of type ``SOCK_STREAM``; blocking.
    """

    def __init__(self, socket):
        self.socket, self.reader = socket, socket.makefile("rb", buffering=1 << 16)

    def send(self, message, buffers=()):
        """Send one frame.

        Raises
        ------
        ChannelClosed
            If nobody reads.
        """
        header = json.dumps([message, [len(buffer) for buffer in buffers]]).encode()
        try:
            self.socket.sendall(struct.pack("<I", len(header)) + header + b"".join(buffers))
        except OSError as error:
            raise ChannelClosed("the other side is gone") from error

    def receive(self):
        """Wait for a frame; return its message and its buffers.

        Raises
        ------
        ChannelClosed
            If the other side is gone.
        MalformedFrame
            If the frame is not one, or larger than `MAX_FRAME`.
        """
        (length,) = struct.unpack("<I", self._exactly(4))
        if length > MAX_FRAME:
            raise MalformedFrame(f"a frame of {length} bytes, at most {MAX_FRAME} are taken")
        try:
            message, lengths = json.loads(self._exactly(length))
            fits = all(type(n) is int and n >= 0 for n in lengths) and sum(lengths) <= MAX_FRAME
        except (ValueError, TypeError, RecursionError) as error:
            raise MalformedFrame("a frame that is no message with its buffers") from error
        if not fits:
            raise MalformedFrame("a frame with buffers of impossible lengths")
        return message, [self._exactly(n) for n in lengths]

    def close(self):
        """Close the socket."""
        self.reader.close()
        self.socket.close()

    def _exactly(self, count):
        try:
            data = self.reader.read(count)
        except OSError:
            data = b""
        if len(data) < count:
            raise ChannelClosed("the other side is gone")
        return data
