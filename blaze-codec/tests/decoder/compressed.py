"""Frames that are compressed, and the block format of LZ4."""

from values import Malformed, Reader

FRAME_BYTES_MAX = 1 << 20
CHANGES = 0x03
ROLL = 0x09
LZ4 = 1


def expand(body):
    """The body that a compressed one stands for; any other body as it is."""
    kind, flags = (*body[:2], 0, 0)[:2]
    method = flags >> 1 & 3 if kind in (CHANGES, ROLL) else 0
    if method == 0:
        return body
    if method != LZ4:
        raise Malformed(1, f"a frame is compressed by method {method}; only LZ4 is known here")
    reader = Reader(body, 2)
    length = reader.u32le()
    if not len(body) < 2 + length <= FRAME_BYTES_MAX:
        raise Malformed(2, f"{len(body)} bytes stand for {2 + length}, at most {FRAME_BYTES_MAX}")
    expanded = lz4(reader, length)
    if len(expanded) != length:
        raise Malformed(reader.at, f"{len(expanded)} bytes were compressed, {length} are told")
    return bytes([kind, flags & ~6]) + expanded


def lz4(reader, length_max):
    """The bytes of a block: literals, and copies of what came before, to a last of literals."""
    out = bytearray()
    while True:
        token = reader.u8()
        out += reader.take(length_of(reader, token >> 4))
        if not reader.left():
            return bytes(out)
        at, back = reader.at, int.from_bytes(reader.take(2), "little")
        n = 4 + length_of(reader, token & 15)
        if not 0 < back <= len(out) or len(out) + n > length_max:
            raise Malformed(at, f"{n} bytes from {back} bytes back, after {len(out)} bytes")
        for _ in range(n):
            out.append(out[-back])


def length_of(reader, n):
    """A length of 15 or more goes on in bytes that are added, up to one below 255."""
    more = n == 15
    while more:
        byte = reader.u8()
        n, more = n + byte, byte == 255
    return n
