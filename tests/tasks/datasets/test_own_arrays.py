"""A user's own arrays as a data set."""

import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.tasks.datasets.base import Datasets

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 4, 4, 1)).astype(np.uint8)
LABELS = np.arange(60) // 20
TEST = {"image": IMAGES[:7], "label": LABELS[:7]}


def made(**changed):
    given = {
        "train": {"image": IMAGES, "label": LABELS},
        "test": TEST,
        "batch_size": 8,
        "divisors": {"image": 255.0},
    }
    return Datasets.from_arrays(**(given | changed))


def arrays(**changed):
    data = made(**changed).load()
    assert data is not None
    return data.arrays


def test_splits_are_parts_of_what_is_given() -> None:
    data = made(shuffle_seed=None).load()
    assert data is not None
    assert data.splits == {
        "train": (0, 48),
        "inner_valid": (48, 54),
        "outer_valid": (54, 60),
        "test": (60, 67),
    }
    np.testing.assert_array_equal(data.arrays["label"], [*LABELS, *LABELS[:7]])
    taken = data.take(np.array([3, 60]))
    np.testing.assert_array_equal(
        taken["image"], (IMAGES[[3, 0]] / 255).astype(np.float32)
    )


def test_the_training_part_is_put_in_another_order() -> None:
    first, again, other = (arrays(shuffle_seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["label"], again["label"])
    assert first["label"][:48].tolist() != LABELS[:48].tolist()
    assert first["label"].tolist() != other["label"].tolist()
    np.testing.assert_array_equal(np.sort(first["label"][:60]), LABELS)
    # Fields stay together.
    of_image = {image.tobytes(): n for image, n in zip(IMAGES, LABELS, strict=True)}
    pairs = zip(first["image"][:60], first["label"][:60], strict=True)
    assert all(of_image[image.tobytes()] == label for image, label in pairs)


def test_what_is_known_of_it() -> None:
    data = made()
    assert data.extra_info == {"num_classes": 3}
    assert made(extra_info={"num_classes": 5}).extra_info == {"num_classes": 5}
    batch = next(data.split("test", seed=3))
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        "image": ((8, 4, 4, 1), np.float32),
        "label": ((8,), np.int32),
    }
    abstract = data.abstract_batch
    assert {k: (v.shape, v.dtype) for k, v in abstract.items()} == {
        k: (v.shape, v.dtype) for k, v in batch.items()
    }
    assert not data.is_synthetic


def test_the_same_data_is_equal() -> None:
    changed = LABELS.copy()
    changed[0] = 2
    assert made() == made()
    assert hash(made()) == hash(made())
    assert repr(made()) == repr(made())
    assert made() != made(train={"image": IMAGES, "label": changed})
    assert made() != made(batch_size=9)
    assert made() != made(divisors={"image": 256.0})
    assert made() != made(shuffle_seed=1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train": IMAGES}, "train maps each field to its array"),
        ({"test": {}}, "test maps each field to its array"),
        ({"test": {"image": IMAGES}}, "train has the fields image, label, and test im"),
        (
            {"train": {"image": IMAGES, "label": LABELS[:-1]}},
            "must be of one length, got 60 of image, 59 of label",
        ),
        (
            {"test": {"image": IMAGES[:, :3], "label": LABELS}},
            r"uint8 \[4, 4, 1\] in train, and uint8 \[3, 4, 1\] in test",
        ),
        (
            {"test": {"image": IMAGES / 255, "label": LABELS}},
            r"uint8 .* in train, and float32",
        ),
        ({"test": {"image": IMAGES, "label": "abc"}}, r"test\['label'\] must be an"),
        (
            {"test": {"image": IMAGES, "label": LABELS + 2**40}},
            r"test\['label'\] holds whole numbers beyond 32 bits",
        ),
        ({"divisors": {"imag": 255.0}}, "did you mean image"),
        ({"batch_size": 0}, "batch_size must be"),
        (
            {"train": {"image": IMAGES[:9], "label": LABELS[:9]}},
            "the number of training examples must be a whole number of at least 10",
        ),
    ],
)
def test_what_is_no_data_set_is_refused(changed, message: str) -> None:
    with pytest.raises(LoptError, match=message):
        made(**changed)
