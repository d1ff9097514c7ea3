#!/usr/bin/env python3
"""A second decoder of BlazeBinary, which knows FORMAT.md and nothing else.

It shows that FORMAT.md says all that another implementation needs, and is a place to
start one from. It refuses whatever the format refuses, and prints the rest as JSON.
It takes Python 3.9 or later, and no package.
"""

import argparse
import json
import sys

# Modules beside this one would leave their bytecode among the tests.
sys.dont_write_bytecode = True

from batches import decode_batch, decode_defined  # noqa: E402
from compressed import expand  # noqa: E402
from messages import decode_frames, decode_message  # noqa: E402
from values import Later, Malformed, decode_value  # noqa: E402

DECODERS = {
    "values": decode_value,
    "batches": decode_batch,
    "dictionaries": decode_defined,
    "messages": decode_message,
    "frames": decode_frames,
    "compressed": lambda data: expand(data).hex(),
}


def main():
    parser = argparse.ArgumentParser(
        description="Decodes BlazeBinary. Prints a line of JSON for each entry: its name, and what "
        "it decodes to, or why it is refused and at which byte.",
        epilog="An entry is a line with # and its name, a line with its bytes in hexadecimal, and "
        "at will lines for people up to an empty one, as in tests/golden. The program fails if an "
        "entry is refused, or if one that was mutated decodes as if it weren't.",
    )
    parser.add_argument("part", choices=DECODERS, help="what the entries are")
    parser.add_argument("file", nargs="?", default="-", help="where they are (standard input)")
    parser.add_argument(
        "--mutate",
        action="store_true",
        help="instead flip each bit of each entry, and cut it before each byte: what comes of that "
        "has to be refused or to decode to something else",
    )
    args = parser.parse_intermixed_args()
    decode, failed = DECODERS[args.part], False
    try:
        with sys.stdin if args.file == "-" else open(args.file, encoding="utf-8") as lines:
            found = list(entries(lines))
    except (OSError, ValueError) as error:
        parser.error(f"can't read the entries of {args.file}: {error}")
    if not found:
        parser.error(f"{args.file} has no entries; they begin with a line such as: # name")
    for name, data in found:
        result = (mutated if args.mutate else outcome)(decode, data)
        failed |= "error" in result or bool(result.get("same"))
        print(json.dumps({"name": name, **result}, allow_nan=False))
    return 1 if failed else 0


def entries(lines):
    """The names and the bytes of entries."""
    lines = iter(lines)
    for line in lines:
        if line.startswith("# "):
            yield line[2:].rstrip("\n"), bytes.fromhex(next(lines, ""))
            # What is for people may begin with anything.
            while next(lines, "").strip():
                pass


def outcome(decode, data):
    try:
        return {"decoded": decode(data)}
    except Malformed as error:
        needs = {"needs": error.needs} if isinstance(error, Later) else {}
        return {"error": {"offset": error.offset, "what": error.what, **needs}}


def mutated(decode, data):
    """How many mutations of valid bytes are refused, and which decode as if they weren't any."""
    whole, refused, same = outcome(decode, data), 0, []
    if "error" in whole:
        return whole
    # As text, for Python takes 1, 1.0 and true to be equal.
    whole = json.dumps(whole)
    mutations = {f"bit {bit} flipped": flipped(data, bit) for bit in range(8 * len(data))}
    mutations.update({f"cut at byte {end}": data[:end] for end in range(len(data))})
    for how, mutation in mutations.items():
        result = outcome(decode, mutation)
        refused += "error" in result
        if json.dumps(result) == whole:
            same.append(how)
    return {"mutations": len(mutations), "refused": refused, "same": same}


def flipped(data, bit):
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


if __name__ == "__main__":
    sys.exit(main())
