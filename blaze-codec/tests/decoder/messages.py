"""Messages, and the frames that carry them.

What only a session can tell isn't checked: which message may follow which, whether ranges
follow each other, and that a roll only names records.
"""

from batches import Batch, Dictionary, operation_json
from compressed import CHANGES, FRAME_BYTES_MAX, ROLL, expand
from values import Malformed, Reader

CONTROL_BYTES_MAX = 4096
# Twice what one may have where it is written first.
CHANGES_BYTES_MAX = 128 << 20
ROOTS_MAX = 16
FORMER_MAX = 8
SPANS_MAX = 128
DEFINITIONS = 0x0A
SCOPE = 0x0B
SCOPE_BYTES_MAX = 64 << 10


class Message(Reader):
    """The body of a frame, which is not compressed."""

    def decode(self, parts, dictionary):
        """A message; `parts` holds the payloads of the changes that go on in it, and
        `dictionary` what was defined before it.

        Offsets in changes are those in their payload.
        """
        at, number, flags = self.at, self.u8(), self.u8()
        if number not in MESSAGES or flags > (1 if number == CHANGES else 0):
            raise Malformed(at, f"no message has the kind {number:02x} and the flags {flags:02x}")
        kind, content = MESSAGES[number]
        if number == DEFINITIONS:
            payload = self.data[self.at : self.end]
            dictionary.define(Reader(self.data, self.at, self.end))
            return {"kind": kind, "payload": payload.hex()}
        if number == SCOPE:
            if self.left() > SCOPE_BYTES_MAX:
                raise Malformed(at, f"{self.left()} bytes, the limit is {SCOPE_BYTES_MAX}")
            return {"kind": kind, "payload": self.take(self.left()).hex()}
        if number != CHANGES:
            if number != ROLL and self.left() > CONTROL_BYTES_MAX:
                raise Malformed(at, f"{self.left()} bytes, the limit is {CONTROL_BYTES_MAX}")
            return {"kind": kind, **content(self)}
        parts.append(self.take(self.left()))
        size = sum(map(len, parts))
        if size > CHANGES_BYTES_MAX:
            raise Malformed(at, f"{size} bytes of changes, the limit is {CHANGES_BYTES_MAX}")
        if flags:
            return {"kind": kind, "more": True, "payload": parts[-1].hex()}
        whole = b"".join(parts)
        parts.clear()
        return {"kind": kind, **Message(whole).changes(dictionary)}

    def varint(self, bits=64):
        return super().varint(bits, longer=True)

    def hello(self):
        hello = {
            "protocol_min": self.varint(16),
            "protocol_max": self.varint(16),
            "node": self.node(),
            "former": [self.node() for _ in range(self.count(16, FORMER_MAX, "nodes"))],
            "history": self.history(),
            "database": self.text(self.count(1)),
            "name": self.text(self.count(1)),
            "role": self.one_of("server", "client"),
            "mode": self.one_of("bidirectional", "read-only", "write-only"),
            "head": self.varint(),
            "wall_ms": self.varint(),
            "reads": self.varint() if self.left() else 0,
        }
        scope = self.varint() if self.left() else 0
        return {**hello, "scope": scope} if scope else hello

    def resume(self):
        return {
            "after": self.varint(),
            "last": self.option(lambda: {"incarnation": self.u64le(), "seq": self.varint()}),
            "credit": self.varint(),
        }

    def ack(self):
        return {"through": self.varint(), "credit": self.varint(), "head": self.varint()}

    def number(self):
        return {"number": self.varint()}

    def goodbye(self):
        reason = self.one_of(
            "shutdown", "protocol version", "database", "mode", "same node", "clock drift",
            "violation", "timeout", "storage", "busy", "self link", "role", "scope",
        )  # fmt: skip
        return {"reason": reason, "message": self.text(self.count(1))}

    def start(self):
        return {"roll": self.option(self.varint)}

    def roll(self):
        return self.changes(Dictionary())

    def changes(self, dictionary):
        at, after, through, left_out = self.at, self.u64le(), self.u64le(), self.u8()
        if through < after or left_out > 1:
            raise Malformed(at, f"changes after {after} through {through}, left out {left_out}")
        roots_at, n = self.at, self.u8()
        if n > (0 if left_out else ROOTS_MAX):
            raise Malformed(roots_at, f"{n} roots are too many")
        roots = [{"incarnation": self.u64le(), "seq": self.u64le()} for _ in range(n)]
        ascending(roots_at, [root["incarnation"] for root in roots])
        operations = Batch(self.data, self.at, self.end).decode(dictionary)
        return {
            "after": after,
            "through": through,
            "left_out": left_out == 1,
            "roots": roots,
            "operations": [operation_json(operation) for operation in operations],
        }

    def node(self):
        return self.take(16).hex()

    def history(self):
        at, n = self.at, self.count(9, SPANS_MAX, "spans")
        if n == 0:
            raise Malformed(at, "a history without spans")
        spans = [{"incarnation": self.u64le(), "first": self.varint()} for _ in range(n)]
        ascending(at, [span["first"] for span in spans])
        return spans

    def one_of(self, *names):
        at, number = self.at, self.varint(32)
        if number >= len(names):
            raise Malformed(at, f"no enum of {len(names)} has the number {number}")
        return names[number]

    def option(self, content):
        at, there = self.at, self.u8()
        if there > 1:
            raise Malformed(at, f"an option begins with {there:02x}")
        return content() if there else None


MESSAGES = {
    0x01: ("hello", Message.hello),
    0x02: ("resume", Message.resume),
    CHANGES: ("changes", None),
    0x04: ("ack", Message.ack),
    0x05: ("ping", Message.number),
    0x06: ("pong", Message.number),
    0x07: ("goodbye", Message.goodbye),
    0x08: ("start", Message.start),
    ROLL: ("roll", Message.roll),
    DEFINITIONS: ("definitions", None),
    SCOPE: ("scope", None),
}


def ascending(at, numbers):
    if any(a >= b for a, b in zip(numbers, numbers[1:])):
        raise Malformed(at, f"{numbers} don't ascend")


def crc32c_table():
    def entry(crc):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        return crc

    return [entry(byte) for byte in range(256)]


CRC32C = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def decode_message(data):
    return Message(expand(data)).decode([], Dictionary())


def decode_frames(data):
    """The messages of a stream, and whether its end was told or it was cut off."""
    reader, messages, parts, dictionary = Reader(data), [], [], Dictionary()
    while reader.left():
        at, length, checksum = reader.at, reader.u32le(), reader.u32le()
        if length == 0 and checksum == 0:
            reader.finish()
            return {"messages": messages, "ended": True}
        if not 2 <= length <= FRAME_BYTES_MAX:
            raise Malformed(at, f"a frame of {length} bytes, allowed are 2 to {FRAME_BYTES_MAX}")
        body = reader.take(length)
        if crc32c(data[at : at + 4] + body) != checksum:
            raise Malformed(at, "a frame's checksum differs")
        body = expand(body)
        messages.append(Message(body).decode(parts, dictionary))
        if messages[-1].get("more") and len(body) != FRAME_BYTES_MAX:
            raise Malformed(at, f"{len(body)} bytes of changes that go on in the next frame")
    return {"messages": messages, "ended": False}
