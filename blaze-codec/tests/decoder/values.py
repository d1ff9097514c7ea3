"""Numbers, texts, names and values, and their JSON."""

import math
import struct
import uuid
from typing import NamedTuple

FORMAT_VERSION = 1
VALUES_MAX = 1_048_576
VALUES_BYTES_MAX = 16 << 20
DEPTH_MAX = 64
FIELDS_MAX = 65_536


class Malformed(Exception):
    """Bytes that aren't BlazeBinary: what is wrong, and in the part from which byte on."""

    def __init__(self, offset, what):
        super().__init__(f"at byte {offset}: {what}")
        self.offset, self.what = offset, what


class Later(Malformed):
    """A value that a later version of the format has, which may be well-formed in that."""

    def __init__(self, offset, needs):
        known = f"version {FORMAT_VERSION} is the newest that this decoder knows"
        super().__init__(offset, f"a value needs format version {needs}, and {known}")
        self.needs = needs


class Timestamp(NamedTuple):
    ms: int


class Nan(NamedTuple):
    """A NaN by its bits, which a float of Python may lose on its way."""

    bits: int


REMOVED = object()


class Reader:
    """Numbers, texts, names and values, from the first byte that isn't read on."""

    def __init__(self, data, at=0, end=None):
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def left(self):
        return self.end - self.at

    def take(self, n):
        if n > self.left():
            raise Malformed(self.at, f"{n} bytes are due, and {self.left()} are left")
        self.at += n
        return self.data[self.at - n : self.at]

    def finish(self):
        if self.left():
            raise Malformed(self.at, f"{self.left()} bytes follow the end")

    def u8(self):
        return self.take(1)[0]

    def u32le(self):
        return int.from_bytes(self.take(4), "little")

    def u64le(self):
        return int.from_bytes(self.take(8), "little")

    def varint(self, bits=64, longer=False):
        """An unsigned number; `longer` says whether a form that isn't the shortest will do."""
        at, number = self.at, 0
        for shift in range(0, bits, 7):
            byte = self.u8()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift and not longer:
                    raise Malformed(at, "the last of a varint's bytes is 0")
                break
        if byte >= 0x80 or number >> bits:
            raise Malformed(at, f"a varint exceeds {bits} bits")
        return number

    def signed(self):
        number = self.varint()
        return number >> 1 ^ -(number & 1)

    def count(self, smallest, most=None, of="entries"):
        """A count of what takes at least so many bytes each."""
        at, n = self.at, self.varint()
        if most is not None and n > most:
            raise Malformed(at, f"{n} {of}, the limit is {most}")
        if n * smallest > self.left():
            raise Malformed(at, f"{n} {of} don't fit into {self.left()} bytes")
        return n

    def text(self, n):
        at, data = self.at, self.take(n)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(at + error.start, "a text isn't UTF-8") from None

    def name(self):
        at, n = self.at, self.u8()
        if n == 0:
            raise Malformed(at, "a name is empty")
        return self.text(n)

    def float(self):
        data = self.take(8)
        (number,) = struct.unpack("<d", data)
        return Nan(int.from_bytes(data, "little")) if math.isnan(number) else number

    def uuid(self):
        return uuid.UUID(bytes=self.take(16))

    def value(self, removed=False, depth=0):
        """A value with its tag; `removed` says whether that may stand in its place."""
        at, tag = self.at, self.u8()
        if tag >= 0x80:
            return tag - 0x90
        if tag >= 0x40:
            return self.text(tag - 0x40)
        if tag >= 0x30:
            return self.take(tag - 0x30)
        if tag >= 0x20:
            return self.map(at, tag - 0x20, depth)
        if tag >= 0x10:
            return self.array(at, tag - 0x10, depth)
        if tag <= 0x02:
            return (None, False, True)[tag]
        if tag == 0x03:
            number = self.signed()
            if -16 <= number <= 111:
                raise Malformed(at, f"the long form of {number}, which has a short one")
            return number
        if tag == 0x04:
            return self.float()
        if tag == 0x05:
            return self.text(self.length(at, 64))
        if tag == 0x06:
            return self.take(self.length(at, 16))
        if tag == 0x07:
            return self.uuid()
        if tag == 0x08:
            return Timestamp(self.signed())
        if tag == 0x09:
            return self.array(at, self.length(at, 16), depth)
        if tag == 0x0A:
            return self.map(at, self.length(at, 16, 3), depth)
        if tag == 0x0B:
            needs, _ = self.u8(), self.take(self.count(1, VALUES_BYTES_MAX, "bytes"))
            if needs <= FORMAT_VERSION:
                raise Malformed(at, f"a value of version {needs} has a tag of its own")
            raise Later(at, needs)
        if tag == 0x0F and removed:
            return REMOVED
        raise Malformed(at, f"no value has the tag {tag:02x} here")

    def length(self, at, least, smallest=1):
        n = self.count(smallest)
        if n < least:
            raise Malformed(at, f"the long form of a length of {n}, which has a short one")
        return n

    def nested(self, at, depth):
        if depth == DEPTH_MAX:
            raise Malformed(at, f"more than {DEPTH_MAX} arrays and maps within one another")
        return depth + 1

    def array(self, at, n, depth):
        depth = self.nested(at, depth)
        return [self.value(depth=depth) for _ in range(n)]

    def map(self, at, n, depth):
        depth, fields, last = self.nested(at, depth), {}, b""
        if n > FIELDS_MAX:
            raise Malformed(at, f"a map of {n} fields, the limit is {FIELDS_MAX}")
        for _ in range(n):
            name_at, name = self.at, self.name()
            # No name is empty, so that the first one is above.
            if name.encode() <= last:
                raise Malformed(name_at, f"the name {name!r} isn't above the one before")
            last = name.encode()
            fields[name] = self.value(depth=depth)
        return fields


def check_limits(at, values):
    """Refuses values of one record that are too many or too large."""
    weights = [weigh(value) for value in values]
    count, size = (sum(weight[side] for weight in weights) for side in (0, 1))
    if count > VALUES_MAX or size > VALUES_BYTES_MAX:
        limits = f"the limits are {VALUES_MAX} and {VALUES_BYTES_MAX}"
        raise Malformed(at, f"{count} values of {size} bytes, {limits}")


def weigh(value):
    """How many values a value is with those inside, and how many bytes it takes with its tag."""
    if value is REMOVED:
        return 0, 1
    if value is None or isinstance(value, bool):
        return 1, 1
    if isinstance(value, int):
        return 1, 1 if -16 <= value <= 111 else 1 + varint_bytes(zigzag(value))
    if isinstance(value, Timestamp):
        return 1, 1 + varint_bytes(zigzag(value.ms))
    if isinstance(value, (float, Nan)):
        return 1, 9
    if isinstance(value, uuid.UUID):
        return 1, 17
    if isinstance(value, (str, bytes)):
        n = len(value.encode() if isinstance(value, str) else value)
        return 1, head_bytes(n, 64 if isinstance(value, str) else 16) + n
    names = value if isinstance(value, dict) else ()
    inside = [weigh(inner) for inner in (value.values() if names else value)]
    count, size = (sum(weight[side] for weight in inside) for side in (0, 1))
    size += head_bytes(len(value), 16) + sum(1 + len(name.encode()) for name in names)
    return 1 + count, size


def head_bytes(n, long):
    """The bytes of a tag and a length, which follows the tag from `long` on."""
    return 1 if n < long else 1 + varint_bytes(n)


def varint_bytes(number):
    return max(1, (number.bit_length() + 6) // 7)


def zigzag(number):
    return number << 1 if number >= 0 else ~(number << 1)


def to_json(value):
    """The form of a value in JSON; *removed*, which has none, as an object that no value has."""
    if isinstance(value, Nan):
        usual = value.bits == 0x7FF8_0000_0000_0000
        return {"$float": "NaN" if usual else f"nan:{value.bits:016x}"}
    if isinstance(value, float) and math.isinf(value):
        return {"$float": "inf" if value > 0 else "-inf"}
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, uuid.UUID):
        return {"$uuid": str(value)}
    if isinstance(value, Timestamp):
        return {"$timestamp": value.ms}
    if value is REMOVED:
        return {"$removed": True}
    if isinstance(value, list):
        return [to_json(inner) for inner in value]
    if isinstance(value, dict):
        escape = {True: "$", False: ""}
        fields = value.items()
        return {escape[name.startswith("$")] + name: to_json(inner) for name, inner in fields}
    return value


def decode_value(data):
    reader = Reader(data)
    value = reader.value()
    reader.finish()
    check_limits(0, [value])
    return to_json(value)
