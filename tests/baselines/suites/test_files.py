"""Suites of one's own in files."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from learned_optimization.baselines.sets import files as set_files
from learned_optimization.baselines.sets.files import load_user_file
from learned_optimization.baselines.sets.registry import SETS
from learned_optimization.baselines.suites.define import suite
from learned_optimization.baselines.suites.files import (
    load_sets_and_suites,
    load_suites,
)
from learned_optimization.baselines.suites.registry import SUITES, get_suite
from learned_optimization.errors import LoptError
from learned_optimization.tasks.registry import TASKS

MLP = "ImageMLP_FashionMnist8_Relu32"
CONV = "Conv_FashionMnist8_16x32"


@pytest.fixture(autouse=True)
def own_registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget after a test what it registers, but for gin's names."""
    for module, name in (
        (set_files, "_EXECUTED"),
        (set_files, "_SOURCES"),
    ):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))
    with SUITES.temporarily(), TASKS.temporarily(), SETS.temporarily():
        yield
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


SUITE = f"""\
suites:
  - name: mine
    tasks: [{MLP}, {CONV}]
    num_steps: 1e3
"""


def test_yaml(tmp_path):
    text = SUITE.replace("1e3", "300") + (
        "    seeds: 2\n    description: two of them\n    is_heldout: true\n"
        "  - {name: other, tasks: [mine]}\n"
    )
    made, other = load_suites(write(tmp_path, "suites.yaml", text))
    assert made == get_suite("mine")
    assert made.tasks == other.tasks == (MLP, CONV)
    assert (made.num_steps, made.seeds, made.is_heldout) == (300, 2, True)
    assert made.description == "two of them"
    assert (other.num_steps, other.seeds) == (1_000, 5)


TASK = """\
from dataclasses import dataclass
from learned_optimization.baselines.suites.define import suite
from learned_optimization.tasks.registry import own_fixed_task
from tests.tiny import TinyTask

@own_fixed_task
def OwnTaskOfASuite() -> TinyTask:
    return TinyTask()
"""


def test_python_with_a_task_of_its_own(tmp_path):
    text = TASK + f'suite(name="mine", tasks=["OwnTaskOfASuite", "{MLP}"])\n'
    path = write(tmp_path, "own_suite_of_tasks.py", text)
    [made] = load_suites(path)
    assert made.tasks == ("OwnTaskOfASuite", MLP)
    # A file is executed once; what it defines is known all the same.
    assert load_suites(path) == [made]


def test_yaml_imports_the_tasks_it_names(tmp_path):
    write(tmp_path, "own_tasks_of_a_suite.py", TASK)
    text = "imports: own_tasks_of_a_suite.py\n" + SUITE.replace(CONV, "OwnTaskOfASuite")
    [made] = load_suites(write(tmp_path, "s.yaml", text.replace("1e3", "20")))
    assert made.tasks == (MLP, "OwnTaskOfASuite")


def test_read_again_it_replaces(tmp_path):
    text = SUITE.replace("1e3", "20")
    load_suites(write(tmp_path, "s.yaml", text))
    load_suites(write(tmp_path, "s.yaml", text.replace(f", {CONV}", "")))
    assert get_suite("mine").tasks == (MLP,)
    with pytest.raises(LoptError, match=r"there is a suite mine already, of .*s\.yaml"):
        load_suites(write(tmp_path, "other.yaml", text))


def test_one_file_holds_sets_and_suites(tmp_path):
    sets = (
        "sets:\n  - {name: Mine_20, optimizer: Adam, num_steps: 20, "
        "space: {learning_rate: [0.1, 0.01]}}\n"
    )
    both = write(tmp_path, "both.yaml", sets + SUITE.replace("1e3", "20"))
    assert [s.name for s in load_user_file(both)] == ["Mine_20"]
    assert [s.name for s in load_suites(both)] == ["mine"]
    of_sets = write(tmp_path, "sets.yaml", sets)
    assert load_suites(of_sets) == []
    of_suites = write(
        tmp_path, "suites.yaml", SUITE.replace("1e3", "20").replace("mine", "alone")
    )
    with pytest.raises(LoptError, match="defines no set"):
        load_user_file(of_suites)
    for path, names in ((both, ("Mine_20", "mine")), (of_suites, ("alone",))):
        made = itertools.chain(*load_sets_and_suites(path))
        assert tuple(thing.name for thing in made) == names
    neither = write(tmp_path, "neither.py", "")
    for path in (neither, "set.gin"):
        with pytest.raises(LoptError, match=r"defines no set|no such file"):
            load_sets_and_suites(path)


def test_a_python_file_that_a_yaml_file_imports_may_define_suites(tmp_path):
    code = "from learned_optimization.baselines.suites.define import suite\n"
    code += f'suite(name="imported", tasks=["{MLP}"])\n'
    write(tmp_path, "suites_beside.py", code)
    text = "imports: suites_beside.py\nsuites:\n  - {name: b, tasks: [imported]}\n"
    path = write(tmp_path, "s.yaml", text)
    assert [s.tasks for s in load_suites(path)] == [(MLP,)]
    # Its own is that of the imported file, which may be read by itself.
    [made] = load_suites(tmp_path / "suites_beside.py")
    assert made.name == "imported"
    with pytest.raises(LoptError, match=r"already, of .*suites_beside\.py"):
        suite(name="imported", tasks=[CONV])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SUITE, r"s\.yaml, line 2, suite mine: num_steps of suite mine must be a whol"),
        ("suites: mine\n", r"s\.yaml, line 1: suites is a list, each item of which"),
        ("suites: [mine]\n", r"line 1: an item of suites maps names to values"),
        (
            "suites:\n  - name: a\n",
            "line 2: a suite needs name and tasks; tasks is",
        ),
        ("suites:\n  - {}\n", "needs name and tasks; name and tasks are not given"),
        (
            f"suites:\n  - name: a\n    tasks: [{MLP}]\n    steps: 3\n",
            "line 4: unknown argument of a suite 'steps': did you mean num_steps",
        ),
        (
            "suites:\n  - {name: a, tasks: [nothing]}\n",
            "suite a: unknown task or",
        ),
        (
            f"suites:\n  - {{name: a, tasks: [{MLP}]}}\n"
            f"  - {{name: a, tasks: [{CONV}]}}\n",
            "line 3, suite a: there is a suite a already, in the same file",
        ),
        ("imports: no.py\nsuites:\n  - {}\n", r"line 1: no such file: no\.py"),
    ],
)
def test_mistakes_are_named_with_their_line(text, message, tmp_path):
    with pytest.raises(LoptError, match=message):
        load_suites(write(tmp_path, "s.yaml", text))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(LoptError, match=r"no such file: .*none\.yaml"):
        load_suites(tmp_path / "none.yaml")
    with pytest.raises(LoptError, match=r"must end in \.py, \.yaml, \.yml"):
        load_suites(write(tmp_path, "s.json", "{}"))
    with pytest.raises(LoptError, match=r"broken_suite\.py, line 1: ZeroDivisionError"):
        load_suites(write(tmp_path, "broken_suite.py", "1 / 0\n"))
