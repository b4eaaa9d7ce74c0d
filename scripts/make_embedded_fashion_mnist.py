"""Make the embedded 8x8 Fashion-MNIST from the original files.

    python scripts/make_embedded_fashion_mnist.py [--check]

The original files are found as `lopt data where fashion_mnist` says; on Debian,
`apt-get install dataset-fashion-mnist` brings them. With `--check` nothing is
written: the embedded file is compared with a fresh conversion.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from learned_optimization.npz import read_npz, write_npz
from learned_optimization.tasks.datasets import embedded
from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.datasets.resize import resize_bilinear

SIZE = 8


def convert() -> dict[str, np.ndarray]:
    """Return the embedded file's arrays, from the original files."""
    original = fashion_mnist(batch_size=1)
    if original.is_synthetic:
        raise SystemExit("LOPT_SYNTHETIC_DATA is set: only real images are embedded.")
    arrays = original.load().arrays
    images, divisor = resize_bilinear(arrays["image"], SIZE)
    return embedded.pack(images, divisor, arrays["label"])


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the file; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the embedded data.")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args(argv)
    folder = Path(embedded.__file__).parent
    path = folder / embedded.file_name("fashion_mnist", SIZE)
    arrays = convert()
    if args.check:
        embedded_now = read_npz(str(path))
        same = embedded_now.keys() == arrays.keys() and all(
            np.array_equal(embedded_now[key], value) for key, value in arrays.items()
        )
        print("the embedded file equals a fresh conversion" if same else "DIFFERENT")
        return 0 if same else 1
    write_npz(str(path), arrays)
    print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
