"""Make the embedded King James Bible from Debian's `bible-kjv-text`.

    python scripts/make_embedded_kjv.py [--check]

The text is read through the command `bible` (`apt-get install bible-kjv`). With
`--check` nothing is written: the embedded file is compared with a fresh
conversion.

A document is a chapter, its verses joined by tabs (newlines, once loaded),
without numbers. Chapters are in an order drawn once, so that all splits are
alike; every tenth of that order is held out as the test part. The file holds
the training part, an empty line and the test part, one document per line.

Licence: the text of the King James Version (1611, revised 1769) is in the public
domain. See `LICENSE-kjv` beside the embedded file.
"""

from __future__ import annotations

import argparse
import lzma
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from learned_optimization.tasks.datasets import embedded

FILE_NAME = "kjv.txt.xz"
NUM_VERSES = 31_102
NUM_CHAPTERS = 1_189
HELD_OUT_EVERY = 10

_VERSE = re.compile(r"(\w+):(\d+) (.+)")
_ORDER_KEY = 1611


def read_verses() -> str:
    """Return the whole Bible as the command `bible` prints it, one verse per line."""
    command = ["bible", "-f", "gen1:1-rev22:21"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(
            f"cannot run `{' '.join(command)}`: {error}. On Debian: apt-get install "
            "bible-kjv bible-kjv-text"
        ) from error
    return done.stdout.decode("ascii")


def chapters(verses: str) -> list[list[str]]:
    """Return each chapter's verses, of lines such as `Ge1:1 In the beginning ...`."""
    by_name: dict[str, list[str]] = {}
    for line in verses.splitlines():
        match = _VERSE.fullmatch(line.rstrip())
        if match is None or "\t" in line:
            raise SystemExit(f"not a verse: {line!r}")
        chapter, number, text = match.groups()
        by_name.setdefault(chapter, []).append(text)
        if len(by_name[chapter]) != int(number):
            raise SystemExit(f"not the next verse of its chapter: {line!r}")
    num_verses = sum(map(len, by_name.values()))
    if (num_verses, len(by_name)) != (NUM_VERSES, NUM_CHAPTERS):
        raise SystemExit(
            f"got {num_verses} verses in {len(by_name)} chapters, expected "
            f"{NUM_VERSES} in {NUM_CHAPTERS}."
        )
    return list(by_name.values())


def convert(verses: str) -> bytes:
    """Return the embedded file's content, not yet compressed."""
    documents = ["\t".join(chapter) for chapter in chapters(verses)]
    # The bits of a bit generator stay the same in every version of numpy; the
    # permutations drawn from them may not.
    order = np.argsort(np.random.Philox(key=_ORDER_KEY).random_raw(NUM_CHAPTERS))
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for position, chapter in enumerate(order, 1):
        part = "test" if position % HELD_OUT_EVERY == 0 else "train"
        parts[part].append(documents[chapter] + "\n")
    return "\n".join("".join(part) for part in parts.values()).encode("ascii")


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the file; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the embedded King James Bible.")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args(argv)
    path = Path(embedded.__file__).parent / FILE_NAME
    content = convert(read_verses())
    if args.check:
        same = lzma.decompress(path.read_bytes()) == content
        print("the embedded file equals a fresh conversion" if same else "DIFFERENT")
        return 0 if same else 1
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
