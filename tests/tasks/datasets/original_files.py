"""The original Fashion-MNIST files of the test machine, and made-up IDX files."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def require_fashion_mnist() -> Path:
    """Return the folder of the original files; on CI they must be there."""
    if not (DEBIAN / "train-images-idx3-ubyte.gz").exists():
        message = (
            "the original Fashion-MNIST files are not installed: "
            "apt-get install dataset-fashion-mnist"
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return DEBIAN


def read_debian(name: str, header: int) -> np.ndarray:
    """Return the bytes of an original file behind its header, by gzip alone."""
    content = gzip.decompress((require_fashion_mnist() / name).read_bytes())
    return np.frombuffer(content, np.uint8)[header:]


def original_images() -> np.ndarray:
    """uint8 `[70000, 28, 28]`, training then test."""
    names = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    return np.concatenate([read_debian(n, 16).reshape(-1, 28, 28) for n in names])


def original_labels() -> np.ndarray:
    """uint8 `[70000]`, training then test."""
    names = ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
    return np.concatenate([read_debian(n, 8) for n in names])


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of bytes in IDX form, written from the format's description."""
    header = bytes([0, 0, 8, array.ndim])
    header += b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist_like(
    folder: Path, ending: str = ".gz", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Write four IDX files of MNIST's shape; returns all images and labels."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images = rng.integers(0, 256, (70_000, 28, 28), np.uint8)
    images[:, :4] = 0
    labels = rng.integers(0, 10, 70_000).astype(np.uint8)
    for part, span in (("train", slice(0, 60_000)), ("t10k", slice(60_000, None))):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx_bytes(array[span])
            if ending:
                content = gzip.compress(content, compresslevel=0)
            (folder / f"{part}-{kind}-ubyte{ending}").write_bytes(content)
    return images, labels
