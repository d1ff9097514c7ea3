"""The columns of batches: many integers, lengths or values of a field at once."""

import math
import struct
from fractions import Fraction

from values import REMOVED, Malformed, Nan, Reader, Timestamp

DECIMAL_MAX = 10**15


class Columns(Reader):
    """Reads columns; they are refused if the format tells what they hold in another way."""

    def packed(self, n, width):
        at, data = self.at, self.take((n * width + 7) // 8)
        numbers, mask = [], (1 << width) - 1
        # Eight numbers end where a byte does.
        for group in range((n + 7) // 8):
            number = int.from_bytes(data[group * width : (group + 1) * width], "little")
            numbers.extend(number >> place * width & mask for place in range(8))
        used = n * width % 8
        if used and data[-1] >> used:
            raise Malformed(at, "bits are set behind the last packed number")
        return numbers[:n]

    def places(self, n, table):
        """The entries of a table that packed places name."""
        at, places = self.at, self.packed(n, (len(table) - 1).bit_length())
        if any(place >= len(table) for place in places):
            raise Malformed(at, f"a packed place is beyond the table, which has {len(table)}")
        return [table[place] for place in places]

    def ints(self, n):
        at, head = self.at, self.u8()
        width, steps = head & 0x7F, head >> 7
        if width > 64:
            raise Malformed(at, f"integers of {width} bits")
        ints = [self.signed()] if steps else []
        least = self.signed()
        for number in self.packed(n - steps, width):
            ints.append(wrapped((ints[-1] if steps else 0) + least + number))
        if (head, least) != head_of(ints):
            raise Malformed(at, "integers that could be told by less, or have another least")
        return ints

    def lengths(self, n, most=None):
        at, lengths = self.at, self.ints(n)
        if min(lengths) < 0:
            raise Malformed(at, f"a length of {min(lengths)}")
        if most is not None and max(lengths) > most:
            raise Malformed(at, f"a length of {max(lengths)}, the limit is {most}")
        return lengths

    def column(self, n, removed, heap):
        """A value for each of n operations; `heap` is where the texts are."""
        at, tag = self.at, self.u8()
        kind, present = tag & 0x7F, [1] * n
        if tag >> 7:
            present = self.packed(n, 1)
            if kind in (0x00, 0x0A) or len(set(present)) < 2:
                raise Malformed(at, f"some are null in a column {tag:02x} of which all or none are")
        elif kind == 0x00:
            present = [0] * n
        values = iter(self.present(at, kind, sum(present), removed, heap))
        return [next(values) if there else None for there in present]

    def present(self, at, kind, n, removed, heap):
        """The values that aren't null."""
        if kind == 0x00:
            return []
        if kind == 0x01:
            return [bit == 1 for bit in self.packed(n, 1)]
        if kind == 0x02:
            return self.ints(n)
        if kind == 0x03:
            floats = [self.float() for _ in range(n)]
            if decimals_of(floats):
                raise Malformed(at, "floats that are decimals are told as floats")
            return floats
        if kind == 0x04:
            return self.decimals(at, n)
        if kind == 0x05:
            return self.texts(at, n, heap)
        if kind == 0x06:
            return self.dictionary(at, n, heap)
        if kind == 0x07:
            return [self.take(length) for length in self.lengths(n)]
        if kind == 0x08:
            return [self.uuid() for _ in range(n)]
        if kind == 0x09:
            return [Timestamp(ms) for ms in self.ints(n)]
        if kind == 0x0A:
            values = [self.value(removed) for _ in range(n)]
            kinds = {float if isinstance(value, Nan) else type(value) for value in values}
            kinds.discard(type(None))
            if len(kinds) < 2 and not kinds & {list, dict, type(REMOVED)}:
                raise Malformed(at, "a column of anything has values of one kind")
            return values
        raise Malformed(at, f"no column has the tag {kind:02x}")

    def decimals(self, at, n):
        scale = self.u8()
        if scale > 9:
            raise Malformed(at, f"decimals of scale {scale}, the greatest is 9")
        ints = self.ints(n)
        # A quotient of two integers is the nearest float.
        floats = [number / 10**scale for number in ints]
        if decimals_of(floats) != (scale, ints):
            raise Malformed(at, "decimals of another scale, or beyond the greatest")
        return floats

    def texts(self, at, n, heap):
        texts = [heap.text(length) for length in self.lengths(n)]
        if has_dictionary(texts):
            raise Malformed(at, "texts that have a dictionary are told without")
        return texts

    def dictionary(self, at, n, heap):
        different = self.varint()
        if not 1 <= different <= n:
            raise Malformed(at, f"{different} different texts among {n}")
        entries = [heap.text(length) for length in self.lengths(different)]
        texts = self.places(n, entries)
        in_order(at, "texts", entries, texts)
        if not has_dictionary(texts):
            raise Malformed(at, "texts that have no dictionary are told with one")
        return texts


def in_order(at, what, table, used):
    if table != list(dict.fromkeys(used)):
        raise Malformed(at, f"the table of {what} isn't that of their first uses")


def wrapped(number):
    """An integer modulo 2^64, as a signed one."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def spread(ints):
    """The least of integers, and the bits that tell how far the others are above it."""
    return min(ints), (max(ints) - min(ints)).bit_length()


def head_of(ints):
    """The head and the least with which the format tells integers."""
    least, width = spread(ints)
    if width > 8:
        step, narrower = spread([wrapped(b - a) for a, b in zip(ints, ints[1:])])
        if narrower < width:
            return 0x80 | narrower, step
    return width, least


def decimals_of(floats):
    """The least scale with which all floats are decimals, and their integers."""

    def decimal(number, scale):
        if isinstance(number, Nan) or math.isinf(number):
            return None
        # Up to this limit floats lie closer than decimals, so only the nearest one fits.
        nearest = round(Fraction(number) * 10**scale)
        fits = abs(nearest) <= DECIMAL_MAX
        same = fits and struct.pack("<d", nearest / 10**scale) == struct.pack("<d", number)
        return nearest if same else None

    for scale in range(10):
        ints = []
        for number in floats:
            ints.append(decimal(number, scale))
            if ints[-1] is None:
                break
        else:
            return scale, ints
    return None


def has_dictionary(texts):
    """Whether the format tells texts by a dictionary."""
    sample = [text.encode() for text in texts[:16]]
    different = set(sample)
    places = len(sample) * (len(different) - 1).bit_length()
    return 8 * sum(map(len, different)) + places < 8 * sum(map(len, sample))
