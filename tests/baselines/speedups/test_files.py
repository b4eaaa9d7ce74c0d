"""Files of normalizers: whatever they hold is read right or named, and at once."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_optimization import filesystem
from learned_optimization.baselines.speedups.curve import Band, BaselineCurve
from learned_optimization.baselines.speedups.files import (
    Entry,
    info_path,
    read_entries,
    write_entries,
)
from learned_optimization.errors import DamagedFileError, NotAFileError, ResultError

STEPS = [0.0, 50.0, 100.0]
LOSSES = [3.0, 2.0, 1.0]
HUGE = int("9" * 400)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "n.json")


def write(path: str, text: str | bytes, end: str = "") -> None:
    Path(path + end).write_bytes(text if isinstance(text, bytes) else text.encode())


def text_of(pair: Any) -> str:
    return json.dumps({"T": pair})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        ("[" * 100_000, "it is no JSON (lists and objects are nested too deeply)"),
        ("null", "it does not map tasks to curves"),
        ("3", "it does not map tasks to curves"),
        ('{"T": [1' + "0" * 10_000 + ", 1]}", "it is no JSON (Exceeds the limit"),
        (
            f'{{"T": {text_of(1)}, "T": {text_of(1)}}}',
            "it is no JSON (the name 'T' is given twice)",
        ),
        (text_of(None), "key 'T': it is not [steps, losses], two lists of numbers"),
        (text_of("ab"), "two lists of numbers, but 'ab'"),
        (text_of({"a": 1, "b": 2}), "two lists of numbers, but {'a': 1, 'b': 2}"),
        (text_of([STEPS]), "two lists of numbers, but [[0.0,"),
        (text_of([STEPS, LOSSES, LOSSES]), "two lists of numbers, but"),
        (text_of([STEPS, 3]), "its losses are 3"),
        (text_of([STEPS, "321"]), "its losses are '321'"),
        (text_of([["0", "1"], [2, 1]]), "one of its steps is '0'"),
        (text_of([[0, 1], [True, False]]), "one of its losses is True"),
        (text_of([[0, 1], [2, None]]), "one of its losses is None"),
        (text_of([[0, [1]], [2, 1]]), "one of its steps is [1]"),
        (text_of([[0, HUGE], [2, 1]]), "one of its steps is too large for a number"),
        (text_of([[0, 1], [HUGE, 1]]), "one of its losses is too large for a number"),
        (text_of([[0, 1], [1e300, 1]]), "1e+300 to 1: too large for float32"),
        (text_of([[], []]), "fewer than two finite losses"),
        (text_of([[0], [1]]), "fewer than two finite losses"),
        (text_of([[0, 1, 2], [2, 1]]), "it has 3 steps and 2 losses"),
        (text_of([[-50, 50], [2, 1]]), "its steps are -50 to 50, and must be within 0"),
        (
            text_of([[0, 1e300], [2, 1]]),
            "its steps are 0 to 1e+300, and must be",
        ),
        (text_of([[0, 1e999], [2, 1]]), "its steps must rise, and do not"),
        (text_of([[0, float("nan")], [2, 1]]), "its steps must rise, and do not"),
        (text_of([[0, 50, 50], LOSSES]), "its steps must rise, and do not"),
        (text_of([[100, 50, 0], LOSSES]), "its steps must rise, and do not"),
        (text_of([STEPS, [1, 2, 3]]), "its losses must never rise, and do"),
        (text_of([STEPS, [float("inf"), 1, 1]]), "fewer than two finite losses"),
    ],
)
def test_what_is_no_curve(path: str, text: str | bytes, problem: str) -> None:
    write(path, text)
    with pytest.raises(DamagedFileError) as error:
        read_entries(path)
    assert str(error.value).startswith(f"cannot read {path}")
    assert problem in str(error.value)
    assert "Build it again" in str(error.value)
    assert len(str(error.value)) < 600


def test_what_is_no_file(path: str, tmp_path: Path) -> None:
    (tmp_path / "n.json").mkdir()
    with pytest.raises(NotAFileError, match="it is a folder"):
        read_entries(path)


def test_a_file_that_is_too_large(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ResultError, match="more than 268,435,456 bytes"):
        read_entries(path)


def test_a_byte_order_mark_and_whole_numbers_are_fine(path: str) -> None:
    write(path, b"\xef\xbb\xbf" + text_of([[0, 1], [2, 1]]).encode())
    curve = read_entries(path)["T"].curve
    assert (curve.steps.tolist(), curve.losses.tolist()) == ([0.0, 1.0], [2.0, 1.0])


def entry() -> Entry:
    steps, losses = np.asarray(STEPS), np.asarray(LOSSES)
    band = Band(losses - 0.5, losses + 0.5, 0.95, 10, 0)
    curve = BaselineCurve(steps, losses, band)
    return Entry(curve, {"hparam_sets": ["A"], "ema": 0.95})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"band": 3}, "not what is written there"),
        ({"band": {}}, "not what is written there"),
        ({"band": {"low": "321", "high": LOSSES}}, "band's low are '321'"),
        ({"band": {"low": [1], "high": LOSSES}}, "are of one length"),
        ({"level": "much"}, "within 0 and 1, not 'much'"),
        ({"level": 1e999}, "within 0 and 1, not inf"),
        ({"num_resamples": -1}, "num_resamples must be a whole number of at least 1"),
        ({"seed": None}, "seed must be a whole number"),
        ({"hparam_sets": 3}, "hparam_sets is a list of names, not 3"),
        ({"hparam_sets": [["A"]]}, "hparam_sets is a list of names"),
        ({"digest": None}, "it is of another curve"),
    ],
)
def test_what_is_beside_a_file(
    path: str, changes: dict[str, Any], problem: str
) -> None:
    write_entries(path, {"T": entry()})
    beside = Path(info_path(path))
    info = json.loads(beside.read_text())["T"]
    for key, value in changes.items():
        inside = info["band"] if key in info["band"] else info
        inside[key] = value
    write(str(beside), text_of(info))
    with pytest.raises(DamagedFileError, match="key 'T'") as error:
        read_entries(path)
    assert problem in str(error.value)
    assert info_path(path) in str(error.value)


ODD = (
    "null",
    "-1",
    "1e999",
    "NaN",
    '"x"',
    "[]",
    "{}",
    "[[]]",
    "9" * 400,
    "true",
    '"\\ud800"',
)


def damaged(text: str, rng: random.Random) -> str:
    """Return a text with a few parts cut out, repeated or replaced."""
    for _ in range(rng.randrange(1, 4)):
        i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        j = min(j, i + rng.choice((1, 4, 40)))
        more = ("", text[i:j] * 3, "[" * rng.choice((1, 5000)), ",", ":")
        new = rng.choice((*ODD, *more))
        text = text[:i] + new + text[j:]
    return text


@pytest.mark.parametrize(
    "count", [300, pytest.param(5000, marks=pytest.mark.exhaustive)]
)
def test_damaged_files_end_in_typed_errors(path: str, count: int) -> None:
    write_entries(path, {"T": entry(), "S": entry()})
    whole, beside = Path(path).read_text(), Path(info_path(path)).read_text()
    rng = random.Random(0)
    outcomes: Counter[str] = Counter()
    for i in range(count):
        write(path, damaged(whole, rng) if i % 2 else whole)
        write(info_path(path), beside if i % 2 else damaged(beside, rng))
        try:
            entries = read_entries(path)
            outcomes["read"] += 1
            for read in entries.values():
                assert np.isfinite(read.curve.losses).all()
                assert (np.diff(read.curve.steps) > 0).all()
        except ResultError as error:
            outcomes[type(error).__name__] += path.removesuffix(".json") in str(error)
    assert outcomes.total() == count
    assert outcomes.keys() == {"read", "DamagedFileError"}, outcomes
    assert min(outcomes.values()) >= count // 100, outcomes
    print(f"{outcomes.total()} damaged files of normalizers: {dict(outcomes)}")


def test_what_is_read_is_bounded(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"12345")
    assert filesystem.read_all(small, 5) == b"12345"
    with pytest.raises(ResultError, match="it has more than 4 bytes"):
        filesystem.read_all(small, 4)
