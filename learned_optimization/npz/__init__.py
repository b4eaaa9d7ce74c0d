"""npz files that are written whole, sealed, and read without running anything.

What numpy reads and writes, and more: every array carries a digest, and the
directory of the file is sealed with one, so that a file read is the file that was
written. Files without a seal, of numpy or of others, are read too.
"""

from learned_optimization.npz.npy_header import NpyHeader
from learned_optimization.npz.reading import NpzReader, open_npz, read_npz
from learned_optimization.npz.writing import NpzWriter, check_readable, write_npz

__all__ = [
    "NpyHeader",
    "NpzReader",
    "NpzWriter",
    "check_readable",
    "open_npz",
    "read_npz",
    "write_npz",
]
