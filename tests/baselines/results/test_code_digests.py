"""Results of an optimizer whose code has changed are told from those of the new one."""

import importlib.util
import sys
from pathlib import Path

import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.results import code_digests
from learned_optimization.optimizers.base import get_optimizer

CODE = "import {helper}\n\nclass Own:\n    def step(self):\n        return {value}\n"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a class from a file and one beside it, which may be written again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(value: object = 1, helper: str = "x = 1\n", comment: str = "") -> type:
        names = ("own_digest_helper", "own_digest_module")
        for name in names:
            sys.modules.pop(name, None)
        (tmp_path / f"{names[0]}.py").write_text(helper)
        code = CODE.format(helper=names[0], value=value)
        (tmp_path / f"{names[1]}.py").write_text(comment + code)
        importlib.invalidate_caches()
        spec = importlib.util.spec_from_file_location(
            names[1], tmp_path / f"{names[1]}.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[names[1]] = module
        spec.loader.exec_module(module)
        return module.Own

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("own_digest"):
            del sys.modules[name]


def test_a_digest_is_of_the_code_and_what_stands_beside_it(load):
    first = code_digests.digest_of(load())
    assert first == code_digests.digest_of(load(comment="# Only said.\n\n"))
    assert first != code_digests.digest_of(load(value=2))
    assert first != code_digests.digest_of(load(helper="x = 2\n"))
    assert first == code_digests.digest_of(load())


def test_what_has_no_file_or_is_of_the_package_has_no_digest():
    assert code_digests.digest_of(get_optimizer("Adam")) is None
    assert code_digests.digest_of(type("Made", (), {"__module__": "nowhere"})) is None


def test_notes_are_of_each_folder():
    root = utils.get_root_baseline_dir()
    a, b, c = (f"{root}/{task}/Own_lr0.1/20_10_5_10" for task in "ABC")
    asked = ("optimizer Own", "b", [a, b, c])
    assert code_digests.trained_with_other_code(*asked) == []
    code_digests.note("optimizer Own", "a", [a, b])
    assert code_digests.trained_with_other_code(*asked) == [a, b]
    code_digests.note("optimizer Own", "b", [b])
    assert code_digests.trained_with_other_code(*asked) == [a]
    assert code_digests.trained_with_other_code("optimizer Own", "b", [b, c]) == []
    assert code_digests.trained_with_other_code("task Own", "b", [a]) == []


def test_notes_move_with_the_results(tmp_path, monkeypatch):
    code_digests.note("task A", "a", [f"{utils.get_root_baseline_dir()}/A/x"])
    moved = Path(utils.get_root_baseline_dir()).rename(tmp_path / "moved")
    monkeypatch.setenv("LOPT_BASELINE_DIR", str(moved))
    there = [f"{moved}/A/x"]
    assert code_digests.trained_with_other_code("task A", "b", there) == there


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"A": 1', b"\xff" * 20])
def test_a_note_that_cannot_be_read_is_named(content):
    code_digests.note("task Own", "a", ["A"])
    path = Path(utils.get_root_baseline_dir(), ".code", "task-Own.json")
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"Own\.json is damaged: whether the code"):
        assert code_digests.trained_with_other_code("task Own", "b", ["A"]) == []
    with pytest.warns(UserWarning, match="is damaged"):
        code_digests.note("task Own", "a", ["A"])
    assert code_digests.trained_with_other_code("task Own", "b", ["A"]) == ["A"]
