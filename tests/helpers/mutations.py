"""Damaged and hostile variants of files. The same seed gives the same variant."""

import copy
import io
import json
import random
import re
import zipfile

# Values that a JSON file from a stranger may have anywhere.
HOSTILE = (
    None,
    True,
    -1,
    0,
    0.5,
    10**30,
    -1e308,
    float("nan"),
    float("inf"),
    "",
    "x" * 1000,
    "../../etc/passwd",
    "a\0b",
    "\x1b[2J\n",
    [],
    {},
    [[[[]]]],
    [60000, 60000],
    [-1, -1],
    {"a": 1},
)
# Texts that replace a number in a text file.
NUMBERS = ("nan", "inf", "-1", "0", "1e400", "1" + "0" * 400, "", "0x10", "1_000", "٣")
DEPTH = 100_000


def mutate(name: str, content: bytes, seed: int) -> bytes:
    """Return a variant of a file.

    Args:
        name: its name, whose suffix states the format.
        content: its content.
        seed: the seed.

    Returns:
        The variant, which may be the content itself.
    """
    rng = random.Random(seed)
    if rng.random() < 0.25:
        return _mutate_bytes(content, rng)
    if name.endswith(".json"):
        return _mutate_json(content, rng)
    if name.endswith(".npy"):
        return _mutate_npy(content, rng)
    if name.endswith(".npz"):
        return _mutate_npz(content, rng)
    return _mutate_text(content, rng)


def _mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat or insert bytes."""
    data = bytearray(content)
    kind = rng.randrange(5)
    place = rng.randrange(len(data) + 1)
    if kind == 0:
        for _ in range(rng.randint(1, 20)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        end = min(len(data), place + rng.randint(1, 2000))
        del data[place:end]
    elif kind == 3:
        data[place:place] = data[place : place + rng.randint(1, 2000)]
    else:
        data[place:place] = rng.randbytes(rng.randint(1, 100))
    return bytes(data)


def _mutate_json(content: bytes, rng: random.Random) -> bytes:
    """Replace or remove a value, or nest one deep."""
    if rng.random() < 0.1:
        opening = rng.choice(["[", '{"a":'])
        place = rng.randrange(len(content) + 1)
        return content[:place] + opening.encode() * DEPTH + content[place:]
    values = copy.deepcopy(json.loads(content))
    for _ in range(rng.randint(1, 2)):
        values = _replace_leaf(values, rng)
    return json.dumps(values).encode()


def _replace_leaf(values, rng: random.Random):
    if isinstance(values, dict) and values and rng.random() < 0.9:
        key = rng.choice(sorted(values))
        if rng.random() < 0.1:
            del values[key]
        else:
            values[key] = _replace_leaf(values[key], rng)
        return values
    if isinstance(values, list) and values and rng.random() < 0.6:
        place = rng.randrange(len(values))
        values[place] = _replace_leaf(values[place], rng)
        return values
    return copy.deepcopy(rng.choice(HOSTILE))


def _mutate_npy(content: bytes, rng: random.Random) -> bytes:
    """Change the header, or fill a part of the values."""
    start = 10 + int.from_bytes(content[8:10], "little")
    header, values = content[10:start].decode("latin1"), bytearray(content[start:])
    kind = rng.randrange(4)
    if kind == 0:
        header = re.sub(
            r"\d+,", lambda _: rng.choice(["0,", "-1,", "1000000000000,", "3,"]), header
        )
    elif kind == 1:
        types = ["<f8", "<f4", "|O", "<i8", "<U9", "|u1", "<c16", "<m8"]
        header = re.sub(r"'[<|][^']*'", repr(rng.choice(types)), header)
    elif kind == 2:
        place = rng.randrange(len(header))
        header = header[:place] + rng.choice(["[", "(", "'", "\0", "{" * 50]) + header[place:]
    else:
        place = rng.randrange(len(values) + 1)
        size = rng.choice([8, 64, len(values)])
        fill = rng.choice([b"\xff", b"\x7f", b"\0", b"\xf0\x7f\0\0\0\0\0\0"])
        values[place : place + size] = (fill * size)[: len(values[place : place + size])]
    encoded = header.encode("latin1")[: 2**16 - 1]
    return content[:8] + len(encoded).to_bytes(2, "little") + encoded + bytes(values)


def _mutate_npz(content: bytes, rng: random.Random) -> bytes:
    """Change, drop or rename one of the arrays."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(entries))
    kind = rng.randrange(5)
    compression = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    if kind == 0:
        del entries[name]
    elif kind == 1:
        entries[f"x{name}"] = entries.pop(name)
    elif kind == 2:
        entries[name] = entries[rng.choice(sorted(entries))]
    elif name == "json.npy":
        entries[name] = _mutate_bytes(entries[name], rng)
    else:
        entries[name] = _mutate_npy(entries[name], rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for each, data in entries.items():
            archive.writestr(each, data)
    return packed.getvalue()


def _mutate_text(content: bytes, rng: random.Random) -> bytes:
    """Replace a number, a line, or the columns of a line."""
    lines = content.decode("utf-8", "replace").split("\n")
    row = rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        numbers = list(re.finditer(r"-?\d[\d.e+-]*", lines[row]))
        if numbers:
            found = rng.choice(numbers)
            line = lines[row]
            lines[row] = line[: found.start()] + rng.choice(NUMBERS) + line[found.end() :]
    elif kind == 1:
        lines[row] = rng.choice(["", "#", "," * 50, " " * 5000, "\x1b[31m", lines[-1] + lines[0]])
    elif kind == 2:
        lines[row] = lines[row] + rng.choice([",1", " 1", ",", " nan", '"'])
    else:
        lines[row : row + 1] = lines[row : row + 1] * rng.randint(2, 100)
    return "\n".join(lines).encode("utf-8", "replace")
