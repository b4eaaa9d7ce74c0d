"""Food-101's archive: lists, labels, and what is refused."""

import numpy as np
import pytest

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.sources import food101
from learned_optimization.tasks.datasets.sources.decode import decode_image
from tests.tasks.datasets.sources.images import encoded, present, small, smooth

ROW = small("food101", 6, 3, num_classes=3)
TRAIN = ["waffles/10", "waffles/11", "apple_pie/5", "apple_pie/1", "pho/7", "pho/9"]
TEST = ["pho/3", "waffles/2", "apple_pie/8"]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "food-101"
    (root / "meta").mkdir(parents=True)
    lists = {"classes": ["waffles", "apple_pie", "pho"], "train": TRAIN, "test": TEST}
    for name, lines in lists.items():
        (root / "meta" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    for i, name in enumerate([*TRAIN, *TEST]):
        file = root / "images" / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(smooth(50 + i, 40, i), "jpeg"))
    return tmp_path


def test_order_labels_and_pixels(folder):
    source = present(food101.find(ROW, folder))
    assert food101.find(ROW, folder / "food-101") is not None
    assert food101.find(ROW, folder / "food-101" / "meta") is None
    images, labels = source.read(0, 9, 8)
    # apple_pie, pho, waffles
    assert labels.tolist() == [2, 2, 0, 0, 1, 1, 1, 2, 0]
    for i, name in enumerate([*TRAIN, *TEST]):
        file = folder / "food-101" / "images" / f"{name}.jpg"
        want = decode_image("x", file, row=ROW, image_size=8)
        np.testing.assert_array_equal(images[i], want)
    assert (source.num_train, source.num_test) == (6, 3)


def test_what_is_refused(folder):
    meta = folder / "food-101" / "meta"
    with pytest.raises(DatasetShapeError, match="6 training and 3 test images; food"):
        present(food101.find(small("food101", 7, 3, 3), folder)).read(0, 9, 8)
    (meta / "test.txt").write_text("\n".join(["pho/3", "sushi/2", "apple_pie/8"]))
    with pytest.raises(DatasetShapeError, match="holds the label -1"):
        present(food101.find(ROW, folder)).read(0, 9, 8)
    (folder / "food-101/images/pho/7.jpg").unlink()
    with pytest.raises(DatasetShapeError, match=r"pho/7\.jpg: no image that can be"):
        present(food101.find(ROW, folder)).read(0, 6, 8)
    (meta / "train.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetShapeError, match=r"train\.txt: no list of names"):
        present(food101.find(ROW, folder)).read(0, 6, 8)
