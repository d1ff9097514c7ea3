"""Batches, in rows and in columns, and the dictionaries that they may be by."""

from typing import NamedTuple

from columns import Columns, in_order
from values import FIELDS_MAX, Malformed, Reader, check_limits, to_json

KEY_BYTES_MAX = 1024
DEFINITIONS_MAX = 4096
DEFINITION_BYTES_MAX = 256 << 10
CHANGES = ("insert", "update", "delete")
KEYS = ("uuid", "int", "text", "bytes")


class Version(NamedTuple):
    epoch: int
    clock: int
    node: bytes


class Shape(NamedTuple):
    change: str
    key: str
    collection: str
    fields: tuple


class Operation(NamedTuple):
    shape: Shape
    key: object
    version: Version
    base: Version
    values: list


ZERO = Version(0, 0, bytes(16))


class Dictionary:
    """What the numbers in batches mean: the nodes and shapes by their numbers."""

    def __init__(self):
        self.nodes, self.shapes, self.size = {}, {}, 0

    def define(self, reader):
        """Adds the definitions that a reader has up to its end."""
        self.size += reader.left()
        if self.size > DEFINITION_BYTES_MAX:
            limit = f"the limit is {DEFINITION_BYTES_MAX}"
            raise Malformed(reader.at, f"{self.size} bytes of definitions together, {limit}")
        for _ in range(reader.count(17, DEFINITIONS_MAX, "nodes")):
            number = self.free(self.nodes, reader)
            self.nodes[number] = self.new(self.nodes, reader.take(16), reader)
        for _ in range(reader.count(5, DEFINITIONS_MAX, "shapes")):
            number = self.free(self.shapes, reader)
            shape = read_shape(reader, reader.name, 2)
            self.shapes[number] = self.new(self.shapes, shape, reader)
        reader.finish()

    def free(self, table, reader):
        """A number that isn't defined yet."""
        at, number = reader.at, reader.varint()
        if number >= DEFINITIONS_MAX or number in table:
            raise Malformed(at, f"the number {number} is defined already, or beyond the limit")
        return number

    def new(self, table, entry, reader):
        """An entry that has no number yet."""
        if entry in table.values():
            raise Malformed(reader.at, "a second number for what has one")
        return entry


def read_shape(reader, name, smallest):
    """A shape whose names `name` reads, of at least so many bytes each."""
    at, kinds = reader.at, reader.u8()
    if kinds >> 4 or kinds & 3 == 3:
        raise Malformed(at, f"no shape has the kinds {kinds:02x}")
    collection = name()
    at, n = reader.at, reader.count(smallest, FIELDS_MAX, "fields")
    fields = tuple(name() for _ in range(n))
    below = zip(fields, fields[1:])
    if any(a.encode() >= b.encode() for a, b in below) or (n and kinds & 3 == 2):
        raise Malformed(at, "fields of a delete, or not ascending")
    return Shape(CHANGES[kinds & 3], KEYS[kinds >> 2], collection, fields)


class Batch(Columns):
    """A batch, from its layout to the end of the bytes."""

    def decode(self, dictionary):
        self.start = self.at
        layout = self.u8()
        if layout not in (1, 2, 3, 4):
            raise Malformed(self.start, f"no batch has the layout {layout:02x}")
        self.nodes, self.shapes, nodes_at = dictionary.nodes, dictionary.shapes, self.at
        if layout == 4:
            self.shapes = self.table(1, lambda: self.entry(dictionary.shapes))
            nodes_at = self.at
            self.nodes = self.table(1, lambda: self.entry(dictionary.nodes))
        elif layout != 3:
            nodes_at = self.own_tables()
        at, n = self.at, self.varint()
        if n == 0 and layout != 1:
            raise Malformed(at, f"a batch of the layout {layout:02x} without operations")
        operations = (self.columns if layout in (2, 4) else self.rows)(at, n)
        self.finish()
        shapes = dict.fromkeys(operation.shape for operation in operations)
        if (layout in (2, 4)) != (n > 0 and n >= 4 * len(shapes)):
            raise Malformed(self.start, f"{n} operations don't have the layout {layout:02x}")
        if layout == 1:
            in_order(at, "shapes", self.shapes, shapes)
        if layout != 3:
            versions = ((o.version, *([] if o.base == ZERO else [o.base])) for o in operations)
            in_order(nodes_at, "nodes", self.nodes, (v.node for pair in versions for v in pair))
        return operations

    def own_tables(self):
        """Reads the tables of a batch that is by no dictionary; where those of nodes begin."""
        names_at, names, used = self.at, self.table(2, self.name), []
        nodes_at = self.at
        self.nodes = self.table(16, lambda: self.take(16))
        self.shapes = self.table(3, lambda: read_shape(self, lambda: self.entry(names), 1))
        for shape in self.shapes:
            used += (shape.collection, *shape.fields)
        in_order(names_at, "names", names, used)
        return nodes_at

    def table(self, smallest, entry):
        return [entry() for _ in range(self.count(smallest))]

    def entry(self, table):
        """The entry of a table, or of a dictionary, that is named by its number."""
        at, number = self.at, self.varint()
        if number not in (table if isinstance(table, dict) else range(len(table))):
            raise Malformed(at, f"the number {number} isn't defined")
        return table[number]

    def rows(self, at, n):
        if 3 * n > self.left():
            raise Malformed(at, f"{n} operations don't fit into {self.left()} bytes")
        operations, before, base_before = [], ZERO, ZERO
        for _ in range(n):
            row_at, shape = self.at, self.entry(self.shapes)
            flags_at, flags = self.at, self.u8()
            version, base = self.row_versions(flags_at, flags, before, base_before)
            due = row_flags(version, base, before, base_before) | (0 if operations else 8)
            if flags != due:
                raise Malformed(flags_at, f"flags are {flags:02x} where they have to be {due:02x}")
            key, values = self.row_key(shape.key), []
            if shape.fields:
                n = self.count(1)
                inner = Reader(self.data, self.at, self.at + n)
                values = [inner.value(shape.change == "update") for _ in shape.fields]
                inner.finish()
                self.at = inner.at
                check_limits(row_at, values)
            operations.append(Operation(shape, key, version, base, values))
            before, base_before = version, base
        return operations

    def row_versions(self, at, flags, before, base_before):
        epochs, bases = flags >> 1 & 3, flags >> 4 & 7
        if epochs == 3 or bases > 4:
            raise Malformed(at, f"no operation has the flags {flags:02x}")

        def beside(clock):
            return (clock + self.signed()) % (1 << 64)

        clock = beside(before.clock) if flags & 1 else before.clock
        epoch = (before.epoch, clock)[epochs] if epochs < 2 else beside(before.epoch)
        version = Version(epoch, clock, self.entry(self.nodes) if flags & 8 else before.node)
        if bases < 2:
            return version, base_before if bases else ZERO
        clock = beside(version.clock)
        epoch = (version.epoch, clock)[bases - 2] if bases < 4 else beside(version.epoch)
        node = self.entry(self.nodes) if flags >> 7 else version.node
        return version, Version(epoch, clock, node)

    def row_key(self, kind):
        if kind == "uuid":
            return self.uuid()
        if kind == "int":
            return self.signed()
        n = self.count(1, KEY_BYTES_MAX, "bytes of a key")
        return self.text(n) if kind == "text" else self.take(n)

    def columns(self, at, n):
        room = self.end - self.start
        if n > room:
            raise Malformed(at, f"{n} operations in a batch of {room} bytes")
        shapes = self.places(n, self.shapes)
        in_order(at, "shapes", self.shapes, shapes)
        filled = n + (sum(len(shape.fields) for shape in shapes) + 3) // 4
        if filled > room:
            raise Malformed(at, f"{n} operations need {filled} bytes with the fill, not {room}")
        versions, bases = self.versions(n)
        members = {shape: [] for shape in self.shapes}
        for place, shape in enumerate(shapes):
            members[shape].append(place)
        keys = [self.keys(shape.key, len(places)) for shape, places in members.items()]
        size = self.count(1)
        heap = Reader(self.data, self.at, self.at + size)
        self.text(size)
        operations = [None] * n
        for (shape, places), keys in zip(members.items(), keys):
            removed = shape.change == "update"
            fields = [self.column(len(places), removed, heap) for _ in shape.fields]
            for row, place in enumerate(places):
                values = [field[row] for field in fields]
                check_limits(at, values)
                parts = keys[row], versions[place], bases[place], values
                operations[place] = Operation(shape, *parts)
        heap.finish()
        fill_at, fill = self.at, self.take(max(0, filled - (self.at - self.start)))
        if any(fill):
            raise Malformed(fill_at, "the fill isn't zero")
        return operations

    def versions(self, n):
        at, flags = self.at, self.u8()
        epochs, bases, base_epochs = flags & 3, flags >> 2 & 3, flags >> 4 & 3
        if flags >> 6 or 3 in (epochs, bases, base_epochs) or (base_epochs and not bases):
            raise Malformed(at, f"no versions have the flags {flags:02x}")
        versions = self.stamps(n, epochs)
        if not bases:
            return versions, [ZERO] * n
        bits_at, based = self.at, self.packed(n, 1) if bases == 2 else [1] * n
        if bases == 2 and len(set(based)) < 2:
            raise Malformed(bits_at, "some have a base, but the bits say that all or none have")
        told_at, told = self.at, self.stamps(sum(based), base_epochs)
        if ZERO in told:
            raise Malformed(told_at, "a base that is told is zero")
        told = iter(told)
        return versions, [next(told) if has else ZERO for has in based]

    def stamps(self, n, epochs):
        at, clocks = self.at, self.clocks(n)
        told = self.clocks(n) if epochs == 2 else clocks if epochs == 1 else [0] * n
        if epochs != (0 if not any(told) else 1 if told == clocks else 2):
            raise Malformed(at, "epochs that are all zero, or all the clocks, are told otherwise")
        return [Version(*parts) for parts in zip(told, clocks, self.places(n, self.nodes))]

    def clocks(self, n):
        at, millis, counters = self.at, self.ints(n), self.ints(n)
        if any(ms >> 48 for ms in millis) or any(counter >> 16 for counter in counters):
            raise Malformed(at, "milliseconds beyond 48 bits, or a counter beyond 16")
        return [ms << 16 | counter for ms, counter in zip(millis, counters)]

    def keys(self, kind, n):
        if kind == "int":
            return self.ints(n)
        if kind == "uuid":
            return [self.uuid() for _ in range(n)]
        lengths = self.lengths(n, KEY_BYTES_MAX)
        return [self.text(n) if kind == "text" else self.take(n) for n in lengths]


def row_flags(version, base, before, base_before):
    """The flags that tell an operation which isn't the first."""
    flags = int(version.clock != before.clock)
    if version.epoch != before.epoch:
        flags |= 0x02 if version.epoch == version.clock else 0x04
    if version.node != before.node:
        flags |= 0x08
    if base == ZERO:
        return flags
    if base == base_before:
        return flags | 0x10
    bases = 2 if base.epoch == version.epoch else 3 if base.epoch == base.clock else 4
    return flags | bases << 4 | (base.node != version.node) << 7


def operation_json(operation):
    def version(version):
        return {"epoch": version.epoch, "hlc": version.clock, "node": version.node.hex()}

    change = {"kind": operation.shape.change}
    if change["kind"] != "delete":
        fields = zip(operation.shape.fields, operation.values)
        change["fields"] = {name: to_json(value) for name, value in fields}
    return {
        "collection": operation.shape.collection,
        "key": to_json(operation.key),
        "version": version(operation.version),
        "base": version(operation.base),
        "change": change,
    }


def decode_batch(data):
    return [operation_json(operation) for operation in Batch(data).decode(Dictionary())]


def decode_defined(data):
    """A batch behind the definitions that it needs, which are behind their length, a `u32le`."""
    reader, dictionary = Reader(data), Dictionary()
    dictionary.define(Reader(reader.take(reader.u32le())))
    batch = Batch(data, reader.at)
    return [operation_json(operation) for operation in batch.decode(dictionary)]
