"""SVHN's Matlab files: pixels, labels, and what is refused."""

import numpy as np
import pytest
from scipy.io import savemat

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.sources import svhn
from tests.tasks.datasets.sources.images import draw, present, small

ROW = small("svhn_cropped", 12, 5)


def write(folder, images, labels):
    # The digit 0 is the class 10.
    y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    x = images.transpose(1, 2, 3, 0)
    for file, part in (("train", slice(0, 12)), ("test", slice(12, 17))):
        content = {"X": x[..., part], "y": y[part]}
        savemat(folder / f"{file}_32x32.mat", content, do_compression=True)


def test_pixels_and_labels(tmp_path):
    images, labels = draw(17, 32, 10)
    labels[:2] = 0, 9
    write(tmp_path, images, labels)
    got_images, got_labels = present(svhn.find(ROW, tmp_path)).read(0, 17, 32)
    np.testing.assert_array_equal(got_images, images)
    np.testing.assert_array_equal(got_labels, labels)


def test_what_is_refused(tmp_path):
    assert svhn.find(ROW, tmp_path) is None
    images, labels = draw(17, 32, 10)
    write(tmp_path, images, labels)
    train = tmp_path / "train_32x32.mat"
    with pytest.raises(DatasetShapeError, match=r"expected uint8 .*\(32, 32, 3, 11\)"):
        present(svhn.find(small("svhn_cropped", 11, 5), tmp_path)).read(0, 16, 32)
    x, y = images[:12].transpose(1, 2, 3, 0), labels[:12, None]
    for bad in (
        np.where(y == 3, 0, 11),
        np.ones((11, 1)),
        np.full((12, 1), 1.5),
        "abcdefghijkl",
    ):
        savemat(train, {"X": x, "y": bad})
        with pytest.raises(DatasetShapeError, match="expected 12 from 1 to 10"):
            present(svhn.find(ROW, tmp_path)).read(0, 17, 32)
    savemat(train, {"X": x})
    with pytest.raises(DatasetShapeError, match="no Matlab file with X and y"):
        present(svhn.find(ROW, tmp_path)).read(0, 17, 32)
    train.write_bytes(b"not a matlab file")
    with pytest.raises(DatasetShapeError, match="no Matlab file with X and y"):
        present(svhn.find(ROW, tmp_path)).read(0, 17, 32)
