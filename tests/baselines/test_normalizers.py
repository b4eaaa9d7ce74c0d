"""Files of normalizers, where they are found, and the table of them."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import hparam_sets, normalizers
from learned_optimization.baselines.speedups import specs
from learned_optimization.baselines.speedups.curve import build_curve
from learned_optimization.baselines.speedups.files import info_path, read_entries
from learned_optimization.errors import LoptError, ResultError, UnknownNameError
from tests.baselines.curves import (
    Shape,
    averaged_geometric,
    geometric,
    with_seeds,
    write_losses,
)
from tests.cli.running import LOPT

NAME, SET = "speedup_over_adam_1000", "AdamLR_1000_R5"
SHAPE: Shape = {"scale": 3.0, "rate": 0.96, "floor": 1.0}
PUBLISHED = {
    "speedup_over_adam": (["AdamLR_100000_R5"], 512),
    "speedup_over_adam_v2": (["AdamLR_300000_R5"], 2048),
    "speedup_over_multiple_baselines": (
        [
            "AdamLR_100000_R5",
            "AdamSqrtDecayLR_100000_R5",
            "AdamExpDecayLR_100000_R5",
            "RAdamLR_100000_R5",
        ],
        512,
    ),
    "speedup_over_multiple_baselines_v2": (
        [
            "AdamLR_300000_R5",
            "AdamSqrtDecayLR_300000_R5",
            "AdamExpDecayLR_300000_R5",
            "RAdamLR_300000_R5",
        ],
        2048,
    ),
}
build = normalizers.speedup_over_adam_1000_build_and_write
load = normalizers.speedup_over_adam_1000_normalizer_map


@pytest.fixture
def tasks():
    """Two tasks with archives of the baseline, the second with twice the losses."""
    for factor, task in ((1, "First"), (2, "Second")):
        losses = factor * with_seeds([geometric(**SHAPE)], [-0.2, -0.1, 0.0, 0.1, 0.2])
        write_losses(task, SET, losses)
    return ["First", "Second"]


def test_published_rows():
    for name, (sets, num_points) in PUBLISHED.items():
        spec = normalizers.NORMALIZERS[name]
        assert (list(spec.hparam_sets), spec.num_points) == (sets, num_points)


@pytest.mark.parametrize("name", normalizers.NORMALIZERS)
def test_every_row_has_its_functions_and_sets(name):
    spec = normalizers.NORMALIZERS[name]
    assert getattr(normalizers, f"{name}_build_and_write") == spec.build_and_write
    assert getattr(normalizers, f"{name}_normalizer_map") == spec.normalizer_map
    steps = {hparam_sets.get_hparam_set(s).num_steps for s in spec.hparam_sets}
    assert len(steps) == 1
    if name not in PUBLISHED:
        assert name.rsplit("_", 1)[1] == str(steps.pop())


def test_names_of_the_published_interface():
    several = normalizers.NORMALIZERS["speedup_over_multiple_baselines"]
    several_v2 = normalizers.NORMALIZERS["speedup_over_multiple_baselines_v2"]
    assert normalizers.speedup_over_multiple_baselines_map == several.normalizer_map
    assert (
        normalizers.speedup_over_multiple_baselines_v2_map == several_v2.normalizer_map
    )


def test_file_has_the_published_form(tasks, tmp_path):
    path = tmp_path / "mine.json"
    text = build(tasks, path)
    assert path.read_text() == text
    pairs = json.loads(text)
    assert list(pairs) == tasks
    want = averaged_geometric(**SHAPE)
    for factor, (steps, losses) in zip((1, 2), pairs.values(), strict=True):
        np.testing.assert_allclose(steps, np.linspace(0, 1000, 512))
        at = np.arange(0, 1001, 10)
        np.testing.assert_allclose(
            losses, factor * np.interp(steps, at, want), rtol=1e-12
        )
    # A reader of that form needs no more than numpy.
    steps, losses = map(np.array, pairs["First"])
    assert np.interp(want[50], losses[::-1], steps[::-1]) == pytest.approx(500, abs=2)


def test_round_trip(tasks, tmp_path):
    path = tmp_path / "mine.json"
    build(tasks, path, num_resamples=50, level=0.8, bootstrap_seed=3)
    maps = load(path)
    assert list(maps) == tasks
    curve = build_curve("First", [SET], 512, num_resamples=50, level=0.8, seed=3)
    got = maps["First"].curve
    assert got.band is not None
    assert curve.band is not None
    np.testing.assert_array_equal(got.steps, curve.steps)
    np.testing.assert_array_equal(got.losses, curve.losses)
    np.testing.assert_array_equal(got.band.low, curve.band.low)
    np.testing.assert_array_equal(got.band.high, curve.band.high)
    assert (got.band.level, got.band.num_resamples, got.band.seed) == (0.8, 50, 3)
    assert float(maps["First"](averaged_geometric(**SHAPE)[50])) == pytest.approx(
        500, abs=2
    )
    assert np.isnan(load(path, nonfinite="nan")["First"](np.inf))


def test_provenance(tasks, tmp_path):
    path = tmp_path / "mine.json"
    build(tasks, path)
    provenance = read_entries(str(path))["Second"].provenance
    assert (provenance["normalizer"], provenance["hparam_sets"]) == (NAME, [SET])
    assert f"lopt sweep Second {SET}" in provenance["commands"]
    assert any(line.startswith("numpy==") for line in provenance["built_with"])


def test_the_same_archives_give_the_same_bytes(tasks, tmp_path):
    paths = [tmp_path / "a" / "x.json", tmp_path / "b" / "x.json"]
    build(tasks, paths[0])
    build(tasks[1:], paths[1])
    build(tasks[:1], paths[1])
    for of in (str, info_path):
        first, second = (Path(of(str(path))).read_bytes() for path in paths)
        assert first == second


def test_tasks_of_a_file_stay_unless_overwritten(tasks, tmp_path):
    path = tmp_path / "mine.json"
    build(tasks[:1], path)
    before = path.read_bytes(), (tmp_path / "mine.info.json").read_bytes()
    with pytest.raises(
        LoptError, match=r"mine\.json has First already.*overwrite=True"
    ):
        build(["Second", "First"], path)
    assert (path.read_bytes(), (tmp_path / "mine.info.json").read_bytes()) == before
    write_losses("First", SET, with_seeds([geometric(9.0, 0.9, 0.0)], [0.0, 0.0]))
    build(["Second", "First"], path, overwrite=True)
    assert load(path)["First"].losses[0] == 9.0


def test_nothing_is_written_if_an_archive_is_missing(tasks, tmp_path):
    with pytest.raises(ResultError, match=f"no archive of {SET} on Third"):
        build([*tasks, "Third"], tmp_path / "new" / "mine.json")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("First", "x.json"), "tasks must be a list of at least one name, got 'First'"),
        (([], "x.json"), r"tasks must be a list of at least one name, got \[\]"),
        ((["First"], "x.txt"), r"x\.txt: the name must end in \.json"),
        ((["First"], "x.info.json"), "not in .info.json"),
    ],
)
def test_wrong_arguments(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoptError, match=message):
        build(*arguments)


def test_published_file_loads(tmp_path):
    path = tmp_path / "speedup_over_adam.json"
    # As json.dumps writes the NaN that a baseline which diverged leaves.
    path.write_text(
        '{\n"A":[[0.0, 50.0, 100.0], [3.0, 2.0, 1.0]],\n'
        '"B":[[0, 50, 100], [3, 2, NaN]]\n}'
    )
    maps = normalizers.speedup_over_adam_normalizer_map(path)
    assert float(maps["A"](1.5)) == 75.0
    assert (maps["B"].horizon, float(maps["B"](0.5))) == (50.0, 50.0)
    with pytest.raises(LoptError, match="A has no band"):
        maps["A"].interval(1.5)
    # Ours may be added to it.
    losses = with_seeds([geometric(**SHAPE)], [0.0, 0.0])
    write_losses("C", "AdamLR_100000_R5", losses, every=1000)
    normalizers.speedup_over_adam_build_and_write(["C"], path)
    maps = normalizers.speedup_over_adam_normalizer_map(path)
    assert list(maps) == ["A", "B", "C"]
    assert maps["C"].curve.band is not None
    assert maps["A"].curve.band is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "it is no JSON"),
        ("[1, 2]", "does not map tasks to curves"),
        ('{"A": 3}', r"key 'A': it is not \[steps, losses\]"),
        ('{"A": [[0, 1], ["a", "b"]]}', r"it is not \[steps, losses\]"),
        ('{"A": [[0, 1, 2], [3, 2]]}', "it has 3 steps and 2 losses"),
        ('{"A": [[0, 1], [NaN, NaN]]}', "fewer than two finite losses"),
        ('{"A": [[0, 0], [3, 2]]}', "its steps must rise"),
        ('{"A": [[0, 1], [2, 3]]}', "its losses must never rise"),
    ],
)
def test_files_that_are_not_of_the_form(text, message, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=message):
        load(path)


def test_information_of_another_curve_is_refused(tasks, tmp_path):
    build(tasks, tmp_path / "a.json")
    build(tasks, tmp_path / "b.json")
    info = json.loads((tmp_path / "a.info.json").read_text())
    info["First"]["digest"] = info["Second"]["digest"]
    (tmp_path / "a.info.json").write_text(json.dumps(info))
    with pytest.raises(ResultError, match="'First': it is of another curve"):
        load(tmp_path / "a.json")
    del info["First"]["band"]
    (tmp_path / "b.info.json").write_text(json.dumps(info))
    with pytest.raises(ResultError, match="it is not what is written there"):
        load(tmp_path / "b.json")


def test_where_normalizers_are_found(tasks, tmp_path, monkeypatch):
    monkeypatch.setattr(specs, "PACKAGED", tmp_path / "packaged")
    with pytest.raises(ResultError, match=f"there is no {NAME} at .*{SET}"):
        load()
    build(tasks[:1], tmp_path / "packaged" / f"{NAME}.json")
    assert list(load()) == ["First"]
    monkeypatch.setenv("LOPT_NORMALIZERS_DIR", str(tmp_path / "own"))
    assert list(load()) == ["First"]
    build(tasks[1:], tmp_path / "own" / f"{NAME}.json")
    assert list(load()) == ["Second"]
    assert list(load(tmp_path / "packaged" / f"{NAME}.json")) == ["First"]
    with pytest.raises(UnknownNameError, match=f"did you mean.*{NAME}"):
        normalizers.find("speedup_over_adam_100")


def test_file_without_its_information(tasks, tmp_path):
    build(tasks, tmp_path / "mine.json")
    shutil.copy(tmp_path / "mine.json", tmp_path / "alone.json")
    maps = load(tmp_path / "alone.json")
    assert maps["First"].curve.band is None
    np.testing.assert_array_equal(
        maps["First"].losses, load(tmp_path / "mine.json")["First"].losses
    )


PACKAGED_TASK = "ImageMLP_FashionMnist8_Relu32"


def test_packaged_file():
    [path] = normalizers.PACKAGED.glob("speedup_over_adam_10000.json")
    assert path.stat().st_size + Path(info_path(str(path))).stat().st_size < 100_000
    maps = normalizers.speedup_over_adam_10000_normalizer_map()
    assert list(maps) == [PACKAGED_TASK]
    to_steps = maps[PACKAGED_TASK]
    assert to_steps.horizon == 10_000.0
    # Ten classes, and initial logits that are small but not zero.
    assert to_steps.losses[0] == pytest.approx(np.log(10), rel=0.15)
    fewest, most = to_steps.interval(0.6)
    assert 0 < fewest < most < 10_000
    provenance = read_entries(str(path))[PACKAGED_TASK].provenance
    [archive] = provenance["archives"].values()
    assert archive["seed"] == [0, 1, 2, 3, 4]
    assert archive["synthetic_data"] == [False]
    assert any("jax==" in lines for lines in archive["versions"])


@pytest.mark.exhaustive
def test_packaged_file_is_built_again(tmp_path, monkeypatch):
    path = normalizers.PACKAGED / "speedup_over_adam_10000.json"
    packaged = normalizers.find(path)[PACKAGED_TASK]
    commands = read_entries(str(path))[PACKAGED_TASK].provenance["commands"]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        program, *arguments = command.split()
        assert program == "lopt"
        subprocess.run([LOPT, *arguments], check=True)
    again = normalizers.find(str(tmp_path / path.name))[PACKAGED_TASK]
    np.testing.assert_array_equal(again.steps, packaged.steps)
    # Other processors round otherwise, and 10,000 steps make the most of it.
    np.testing.assert_allclose(again.losses, packaged.losses, rtol=0.02)
