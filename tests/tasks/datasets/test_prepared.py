"""The prepared form on disk: whole or absent, checked, gone on with."""

import json

import numpy as np
import pytest

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.tasks.datasets import locations, prepared
from learned_optimization.tasks.datasets.prepared import Field, Unit

FIELDS = {"label": Field("int32"), "image": Field("uint8", (2, 3))}


def arrays_of(start, stop):
    numbers = np.arange(start, stop)
    return {
        "label": numbers.astype(np.int32),
        "image": (numbers[:, None, None] + np.zeros((2, 3))).astype(np.uint8),
    }


def units(calls=None, fails_at=None):
    def unit(number, part):
        def make():
            if number == fails_at:
                raise KeyboardInterrupt
            if calls is not None:
                calls.append(number)
            return arrays_of(10 * number, 10 * number + 10)

        return Unit(part, make)

    return [unit(i, "train" if i < 4 else "test") for i in range(6)]


def write(folder, **kwargs):
    settings = {"fingerprint": "a", "info": {"from": "a test"}, "units": units()}
    prepared.write(folder, FIELDS, **{**settings, **kwargs})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_written_is_read(tmp_path):
    folder, progress = tmp_path / "data", []
    write(folder, on_progress=lambda done, total: progress.append((done, total)))
    found = prepared.read(folder)
    for name, want in arrays_of(0, 60).items():
        np.testing.assert_array_equal(found.arrays[name], want)
        assert type(found.arrays[name]) is np.ndarray
        assert found.arrays[name].dtype == want.dtype
    assert (found.num_train, found.num_test) == (40, 20)
    assert found.info == {"from": "a test"}
    assert progress == [(done, 6) for done in range(7)]
    assert {path.name for path in tmp_path.iterdir()} == {"data"}
    assert not (folder / "progress.json").exists()


def test_large_data_is_mapped(tmp_path, monkeypatch):
    write(tmp_path / "data")
    monkeypatch.setattr(prepared, "MAX_BYTES_IN_MEMORY", 100)
    found = prepared.read(tmp_path / "data")
    assert isinstance(found.arrays["image"], np.memmap)
    np.testing.assert_array_equal(found.arrays["image"], arrays_of(0, 60)["image"])
    with pytest.raises(ValueError, match="read-only"):
        found.arrays["image"][0] = 0


@pytest.mark.parametrize("fails_at", [0, 1, 3, 5])
def test_an_interrupted_run_is_gone_on_with(tmp_path, fails_at):
    write(tmp_path / "whole")
    folder, calls = tmp_path / "cut", []
    with pytest.raises(KeyboardInterrupt):
        write(folder, units=units(calls, fails_at))
    assert not folder.exists()
    assert not prepared.is_prepared(folder)
    # Killed while it wrote: more is there than was noted as done.
    with open(tmp_path / "cut.partial" / "image.bin", "ab") as file:
        file.write(b"half a unit")
    write(folder, units=units(calls))
    assert calls == list(range(6))
    assert contents(folder) == contents(tmp_path / "whole")


def test_other_sources_start_anew(tmp_path):
    folder, calls = tmp_path / "data", []
    with pytest.raises(KeyboardInterrupt):
        write(folder, units=units(calls, fails_at=3))
    write(folder, units=units(calls), fingerprint="b")
    assert calls == [0, 1, 2, *range(6)]


def test_written_anew_it_is_replaced_at_the_end(tmp_path):
    folder = tmp_path / "data"
    write(folder)
    before = contents(folder)
    with pytest.raises(KeyboardInterrupt):
        write(folder, units=units(fails_at=2), info={"from": "elsewhere"})
    assert contents(folder) == before
    write(folder, info={"from": "elsewhere"})
    assert prepared.read(folder).info == {"from": "elsewhere"}


def test_two_at_once_are_refused(tmp_path):
    def meddle():
        with pytest.raises(LoptError, match="another process is writing"):
            write(tmp_path / "data")
        return arrays_of(0, 1)

    write(tmp_path / "data", units=[Unit("train", meddle)])
    assert prepared.is_prepared(tmp_path / "data")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("bit", "its checksum is not the one written"),
        ("short", "holds 359 bytes, expected 360"),
        ("missing", "is missing, expected 360"),
        ("no manifest", "no manifest of a prepared data set"),
        ("json", "no manifest of a prepared data set"),
        ("format", "is of format 99, this version reads 1"),
    ],
)
def test_damage_is_found(tmp_path, fault, message):
    folder = tmp_path / "data"
    write(folder)
    image, manifest = folder / "image.bin", folder / "manifest.json"
    content = bytearray(image.read_bytes())
    if fault == "bit":
        content[77] ^= 1
        image.write_bytes(content)
    elif fault == "short":
        image.write_bytes(content[:-1])
    elif fault == "missing":
        image.unlink()
    elif fault == "no manifest":
        manifest.unlink()
    elif fault == "json":
        manifest.write_text("{")
    else:
        manifest.write_text(
            json.dumps({**json.loads(manifest.read_text()), "format": 99})
        )
    for check in (prepared.read, prepared.verify):
        with pytest.raises(DatasetShapeError, match=message):
            check(folder)


def test_progress_that_lies_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "data", units=units(fails_at=3))
    (tmp_path / "data.partial" / "image.bin").write_bytes(b"")
    with pytest.raises(DatasetShapeError, match=r"shorter than progress\.json says"):
        write(tmp_path / "data")


def test_units_of_another_make_are_refused(tmp_path):
    wrong = [Unit("train", lambda: {**arrays_of(0, 2), "label": np.zeros(2)})]
    with pytest.raises(ValueError, match="'label' is float64"):
        write(tmp_path / "data", units=wrong)
    assert not (tmp_path / "data").exists()


def test_what_is_not_final_is_not_taken_for_it(tmp_path):
    write(tmp_path / "data" / "mnist" / "prepared")
    assert locations.find_prepared("mnist") == [tmp_path / "data/mnist/prepared"]
    # Stopped between the last file and the last rename.
    (tmp_path / "data/mnist/prepared").rename(tmp_path / "data/mnist/prepared.partial")
    assert locations.find_prepared("mnist") == []
    write(tmp_path / "data" / "mnist" / "prepared")
    assert locations.find_prepared("mnist") == [tmp_path / "data/mnist/prepared"]
