"""Archives that others published, as TASK/SET.npz: listed, fetched and read."""

from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.analysis.best_of_set import load_curves
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.fetch import fetch
from learned_optimization.baselines.release.offer import look_at
from learned_optimization.baselines.release.verify import verify
from learned_optimization.errors import LoptError
from tests.baselines.release.trained import find_releases

SET = "AdamLR_10000_R5"
RATES = (1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4)
RATES += (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def write_published(
    root: Path, task: str, hparam_set: str = SET, rates: tuple[float, ...] = RATES
) -> None:
    """Write an archive of fifteen rates as numpy writes one: no seal and no seeds."""
    shape = (len(rates), 5, 11)
    losses = np.random.default_rng(0).random(shape)
    path = root / task / f"{hparam_set}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        **{
            "eval/xs": np.broadcast_to(1000.0 * np.arange(11), shape),
            **{f"eval/{s}/loss": losses for s in ("train", "outer_valid", "test")},
            "train/xs": np.broadcast_to(np.arange(11.0), shape),
            "train/loss": losses,
            "opt_name": np.asarray(
                [f"Adam_lr{r}" for r in rates for _ in range(5)], str
            ).reshape(shape[:2]),
        },
    )


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    find_releases(monkeypatch, tmp_path / "none")
    root = tmp_path / "opt_archives"
    write_published(root, "T")
    write_published(root, "T", "SGDLR_10000_R5")
    write_published(root, "U")
    return root


def test_they_are_listed_fetched_and_read(others):
    offer = look_at(f"file://{others}")
    assert offer.manifest is None
    assert offer.pairs == (("T", SET), ("T", "SGDLR_10000_R5"), ("U", SET))
    done = fetch(f"file://{others}", ["T", SET])
    assert (done.num_new, done.problems) == (1, [])
    assert done.release.name == "opt_archives"
    [archive] = done.release.manifest.archives
    assert not archive.is_thin
    assert (archive.num_configs, archive.num_seeds, archive.num_steps) == (15, 5, 10000)
    assert utils.list_hparam_sets_for_task("T") == [SET]
    curves = load_curves("T", SET)
    assert curves.thinned is None
    assert curves.opt_names[0] == "Adam_lr1e-07"
    assert curves.losses["test"].shape == (15, 5, 11)
    assert verify(done.release).is_good
    # More of the same, and nothing twice.
    done = fetch(f"file://{others}")
    assert (done.num_new, done.num_kept) == (2, 1)


def test_a_copy_that_was_changed_is_found_and_fetched_again(others):
    done = fetch(str(others), ["U"])
    path = Path(done.release.folder, "U", f"{SET}.npz")
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(bytes(content))
    assert "sha256" in verify(done.release).problems[0].problem
    assert fetch(str(others), ["U"]).num_new == 1
    assert verify(done.release).is_good


def test_what_is_no_archive_is_left_and_the_others_come(others):
    (others / "T" / f"{SET}.npz").write_bytes(b"half of one")
    with (others / "T" / "Other.npz").open("wb") as file:
        np.savez(file, xs=np.zeros((1, 1, 1)))
    done = fetch(str(others))
    assert done.num_new == 2
    assert len(done.problems) == 2
    found = {a.pair for a in done.release.manifest.archives}
    assert found == {("T", "SGDLR_10000_R5"), ("U", SET)}
    # Each is named as it lies there.
    for problem, file in zip(done.problems, (SET, "Other"), strict=True):
        assert f"cannot read {others}/T/{file}.npz" in problem
    files = [p for p in Path(places.releases_dir()).rglob("*") if p.is_file()]
    assert len(files) == 3


def test_what_no_manifest_could_name_is_left(others):
    write_published(others, "B", ".hid")
    write_published(others, "B", "Empty", rates=())
    done = fetch(str(others))
    assert done.num_new == 3
    hidden, nothing = sorted(done.problems)
    assert ".hid on B: the hparam_set of B/.hid.npz is '.hid', and should" in hidden
    assert "Empty on B" in nothing
    assert f"{others}/B/Empty.npz holds no trial" in nothing
    # The manifest is one that can be read again.
    assert fetch(str(others)).num_kept == 3


def test_archives_of_two_addresses_are_not_mixed(others, tmp_path, monkeypatch):
    fetch(str(others), ["U"])
    write_published(tmp_path / "elsewhere" / "opt_archives", "U")
    with pytest.raises(LoptError, match="choose another name"):
        fetch(str(tmp_path / "elsewhere" / "opt_archives"))
    assert fetch(str(tmp_path / "elsewhere" / "opt_archives"), name="b").num_new == 1
    # One address however it is written, and another of another folder.
    monkeypatch.chdir(tmp_path)
    for same in (f"{others}/", "opt_archives", "./opt_archives/"):
        assert fetch(same, ["U"]).num_kept == 1
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(LoptError, match="choose another name"):
        fetch("opt_archives")
    with pytest.raises(LoptError, match="cannot be kept as"):
        fetch(str(others), name="../b")


def test_names_are_told_apart_by_what_is_offered(others):
    write_published(others, "ImageMLP_FashionMnist8_Relu32")
    names = ["laptop", "T", "SGDLR_10000_R5"]
    with pytest.raises(LoptError, match=r"nothing of SGDLR_10000_R5 on laptop"):
        look_at(str(others), names)
    assert look_at(str(others), names[1:]).pairs == (("T", "SGDLR_10000_R5"),)
    assert len(look_at(str(others), [*names, SET]).pairs) == 3
    with pytest.raises(LoptError, match="did you mean SGDLR_10000_R5"):
        look_at(str(others), ["SGDLR_1000_R5"])
    (others / "V").mkdir()
    with pytest.raises(LoptError, match="no archives of V, which would be"):
        look_at(str(others), ["V"])
