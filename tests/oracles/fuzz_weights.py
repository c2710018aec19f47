"""Damaged weight files, by the thousand: every one must be read or refused in one line, in bounded
memory.

    python tests/oracles/fuzz_weights.py --minutes 10 SEED_FILE...

Each seed file (a whole, valid weight file; for a checkpoint its .index) is damaged at random and
read, in a process of its own, so that a crash in a library is seen too. Prints how many were read
and refused, and fails on anything else.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError

NUMBERS = (0, 1, 10**12, 2**31 - 1, 2**63 - 1, 2**64 - 1)
LIMIT_MB = 400  # that reading a file of a few MB may need


def damaged(rng: np.random.Generator, content: bytes, others: list[bytes]) -> bytes:
    """The content with one to eight faults."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        if not data:
            break
        # half of the faults near the ends, where formats keep their structure
        place = int(rng.integers(len(data)))
        if rng.random() < 0.5:
            place = (
                min(place % 2000, len(data) - 1)
                if rng.random() < 0.5
                else max(0, len(data) - 1 - place % 2000)
            )
        length = int(min(len(data) - place, 2 ** rng.integers(0, 9)))
        match rng.integers(8):
            case 0:
                data[place] ^= 1 << int(rng.integers(8))
            case 1:
                data[place : place + length] = rng.bytes(length)
            case 2:
                data[place : place + 8] = NUMBERS[int(rng.integers(len(NUMBERS)))].to_bytes(
                    8, "little"
                )
            case 3:
                del data[place:]
            case 4:
                del data[place : place + length]
            case 5:
                data[place:place] = data[place : place + length]
            case 6:
                data[place : place + length] = b"\xff" * length
            case _:
                other = others[int(rng.integers(len(others)))]
                start = int(rng.integers(max(1, len(other) - length)))
                data[place : place + length] = other[start : start + length]
    return bytes(data)


def work(seeds: list[Path], first: int, count: int, folder: Path, queue) -> None:
    """Read `count` damaged files; reports (number, file, "read" | "refused" | fault)."""
    from posenet.models.weights.load import read_weights

    contents = [seed.read_bytes() for seed in seeds]
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        which = int(rng.integers(len(seeds)))
        place = folder / seeds[which].name
        (folder / "number").write_text(f"{number} {seeds[which].name}")
        for companion in seeds[which].parent.glob(f"{seeds[which].stem}.data-*"):
            shutil.copyfile(companion, folder / companion.name)
        place.write_bytes(damaged(rng, contents[which], contents))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        try:
            read_weights(place)
            said = "read"
        except PoseNetError as error:
            said = "refused" if "\n" not in str(error) else f"a refusal of several lines: {error!r}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
        if grown > LIMIT_MB and number > first + 5:  # the first ones load libraries
            said = f"{grown:.0f} MB more memory ({said})"
        if time.monotonic() - began > 10:
            said = f"{time.monotonic() - began:.0f} s ({said})"
        queue.put((number, seeds[which].name, said))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("seeds", nargs="+", type=Path)
    options = parser.parse_args()
    end, number, counts, faults = time.monotonic() + 60 * options.minutes, options.first, {}, []
    context = multiprocessing.get_context("fork")
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as name:
            queue = context.SimpleQueue()
            process = context.Process(
                target=work, args=(options.seeds, number, 500, Path(name), queue)
            )
            process.start()
            while process.is_alive() or not queue.empty():
                if queue.empty():
                    time.sleep(0.01)
                    continue
                number, file, said = queue.get()
                kind = said if said in ("read", "refused") else "fault"
                counts[Path(file).suffix, kind] = counts.get((Path(file).suffix, kind), 0) + 1
                if kind == "fault":
                    faults.append((number, file, said))
                    print(number, file, said, flush=True)
            if process.exitcode:
                at = (Path(name) / "number").read_text()
                faults.append((number, at, f"exit code {process.exitcode}"))
                print("crash at", at, "exit code", process.exitcode, flush=True)
                number = int(at.split()[0])
            number += 1
    for (suffix, kind), count in sorted(counts.items()):
        print(f"{suffix:<12} {kind:<8} {count}")
    print(f"{sum(counts.values())} files, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
