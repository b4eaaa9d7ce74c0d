"""gin: nothing unknown is ever ignored, and what was bound comes back."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import gin
import pytest

from learned_optimization import configuration
from learned_optimization.baselines.run_trainer import inner_train_task
from learned_optimization.cli.jax_variables import refused_by_jax
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.optax_opts import SGD, Adam


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        (
            "Adm.learning_rate=1",
            "unknown gin configurable 'Adm': did you mean Adam",
        ),
        (
            "Adam.learning_rat=1",
            "unknown gin parameter of Adam 'learning_rat': did you mean learning_rate",
        ),
        ("inner_train_task.opt=@Adm()", "'Adm': did you mean Adam"),
        ("inner_train_task.nun_steps=1", "did you mean num_steps"),
        ("SGD.zzzzzz=1", "known are learning_rate"),
        ("nonsense", "a binding looks like Adam.learning_rate=0.001"),
        ("Adam.learning_rate=", "Unable to parse"),
    ],
)
def test_bad_bindings_name_the_nearest(binding, message):
    with pytest.raises(LoptError) as error:
        configuration.load([], [binding])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file():
    with pytest.raises(LoptError, match="no such gin file: no_such_file"):
        configuration.load(["no_such_file.gin"], [])


def test_later_sources_override(tmp_path):
    file = tmp_path / "a.gin"
    file.write_text("Adam.learning_rate = 0.5\nAdam.beta1 = 0.8\n")
    configuration.load([str(file)], ["Adam.learning_rate = 0.25"])
    assert Adam().learning_rate == 0.25
    assert Adam().beta1 == 0.8
    configuration.load([], [])
    assert Adam().learning_rate == 0.01


def test_bound_puts_back_what_was_there():
    configuration.load([], ["Adam.beta1 = 0.8"])
    with configuration.bound({"Adam.learning_rate": 0.5}):
        assert (Adam().learning_rate, Adam().beta1) == (0.5, 0.8)
        assert "Adam.learning_rate = 0.5" in gin.operative_config_str()
    assert (Adam().learning_rate, Adam().beta1) == (0.01, 0.8)
    with (
        pytest.raises(LoptError, match="did you mean learning_rate"),
        configuration.bound({"Adam.learning_rte": 0.5}),
    ):
        pass
    assert Adam().beta1 == 0.8
    assert configuration.bound_parameters() == ["Adam.beta1"]


OLD_FILE = """
import no_such_module
import learned_optimization.baselines.run_trainer
include "{other}"
Adam.learning_rate = 0.25
Adam.amsgrad = True
old_function.x = 3
scope/old_function.x = [
    1,
    2,
]
inner_train_task.opt = @OldOptimizer()
inner_train_task.num_steps = %steps
steps = 7
"""


def test_old_files_are_read_as_far_as_they_are_known(tmp_path):
    other = tmp_path / "other.gin"
    other.write_text("SGD.learning_rate = 0.5\nSGD.gone = 1\n")
    file = tmp_path / "old.gin"
    file.write_text(OLD_FILE.format(other=other))
    with pytest.raises(LoptError, match="no_such_module"):
        configuration.load([str(file)])
    with pytest.warns(UserWarning, match="5 unknown .*, skipped: import no_such_mod"):
        configuration.load([str(file)], ["Adam.beta1 = 0.8"], skip_unknown=True)
    assert (Adam().learning_rate, Adam().beta1) == (0.25, 0.8)
    assert SGD().learning_rate == 0.5
    bindings = gin.get_bindings("inner_train_task", resolve_references=False)
    assert bindings.keys() == {"opt", "num_steps"}
    # A reference to nothing is an error where it is used.
    gin.parse_config("inner_train_task.task = 'T'")
    with pytest.raises(LoptError, match="unknown gin configurable 'OldOptimizer'"):
        configuration.call_bound(inner_train_task)


def test_what_is_no_binding_is_never_skipped():
    for line in ("nonsense", "Adam.learning_rate ="):
        with pytest.raises(LoptError):
            configuration.load([], [line], skip_unknown=True)


def test_references_in_quotes():
    lines = 'x = "a@b"\ninner_train_task.task = "@QuadraticTask()"'
    configuration.load([], ["inner_train_task.opt = '@Adam()'", lines])
    assert configuration.reference_name("inner_train_task.opt") == "Adam"
    assert configuration.reference_name("inner_train_task.task") == "QuadraticTask"
    assert gin.query_parameter("%x") == "a@b"


def test_names_of_references():
    configuration.load(
        [],
        [
            "inner_train_task.task = %what",
            "what = @a/b/QuadraticTask()",
            "inner_train_task.opt = @learned_optimization.optimizers.SGD()",
            "inner_train_task.num_steps = 3",
        ],
    )
    names = {
        p: configuration.reference_name(f"inner_train_task.{p}")
        for p in ("task", "opt", "num_steps", "eval_task")
    }
    assert names == {
        "task": "QuadraticTask",
        "opt": "SGD",
        "num_steps": None,
        "eval_task": None,
    }


def test_modules_are_imported_by_name(tmp_path, monkeypatch):
    (tmp_path / "own_configurables.py").write_text(
        "import gin\n\n@gin.configurable\ndef own_function(x=1):\n    return x\n"
    )
    monkeypatch.chdir(tmp_path)
    configuration.import_modules(["own_configurables"])
    configuration.load([], ["own_function.x = 5"])
    assert gin.get_configurable("own_function")() == 5
    with pytest.raises(LoptError, match=r"cannot import no_such: No module named"):
        configuration.import_modules(["no_such"])


# In a process of its own: what other tests import would hide what is not known.
KNOWN_AFTER_IMPORT = {
    "baselines.hparam_sets": ["AdamLR_10000_R5", "OptList1k_10000_R5"],
    "baselines.run_archive": [
        *("maybe_get_hparam_set", "maybe_archive_hparam_set"),
        *("wait_until_ready_then_archive_task", "AdamLR_10000_R5"),
    ],
    "baselines.run_trainer": ["inner_train_task"],
    "baselines.run_time_task": ["run_many_eval_and_save"],
    "optimizers.base": ["SGD", "Adam"],
    "optimizers.optax_opts": ["SGD", "Adam", "AdamW", "RMSProp"],
    "tasks.fixed.image_mlp": ["ImageMLP_FashionMnist8_Relu32"],
    "tasks.quadratics": ["QuadraticTask"],
    "tasks.datasets.image": ["fashion_mnist_datasets"],
    "tasks.task_augmentation": ["ReparamWeightsFamily"],
    "tasks.base": ["single_task_to_family", "get_task"],
}


@pytest.mark.slow
@pytest.mark.parametrize("module", KNOWN_AFTER_IMPORT)
def test_names_are_known_as_soon_as_their_module_is_imported(module):
    code = (
        f"import gin, learned_optimization.{module}\n"
        f"for name in {KNOWN_AFTER_IMPORT[module]!r}: gin.get_configurable(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_call_bound_names_what_those_miss_that_are_called():
    @configurable("tests")
    class NeedsTwo:
        def __init__(self, first, *, second):
            self.sum = first + second

    @configurable("tests")
    def calls_another(given=1):
        return NeedsTwo(given).sum  # pyright: ignore[reportCallIssue]

    @configurable("tests")
    def has_a_mistake():
        return int.from_bytes()  # pyright: ignore[reportCallIssue]

    with pytest.raises(LoptError, match=r"no value for NeedsTwo.second: bind each"):
        configuration.call_bound(calls_another)
    configuration.load([], ["NeedsTwo.second=2"])
    assert configuration.call_bound(calls_another) == 3
    with pytest.raises(TypeError):
        configuration.call_bound(has_a_mistake)


def test_call_bound_names_what_is_missing():
    @configurable("tests")
    def needs_two(first, second, third=3):
        return first, second, third

    with pytest.raises(LoptError, match=r"needs_two\.first, needs_two\.second"):
        configuration.call_bound(needs_two)
    gin.parse_config(["needs_two.first = 1", "needs_two.second = 'x'"])
    assert configuration.call_bound(needs_two) == (1, "x", 3)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of gin files, which is not the working directory."""
    (tmp_path / "below").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    files = {
        "main.gin": "include 'below/middle.gin'  # note\nSGD.learning_rate = 3.0",
        "below/middle.gin": 'include "leaf.gin"\nSGDM.learning_rate = 2.0\n',
        "below/leaf.gin": "SGDM.learning_rate = 1.0\nSGDM.momentum = 0.5\n",
        "circle.gin": "include 'below/back.gin'\n",
        "below/back.gin": "include '../circle.gin'\n",
        "missing.gin": "SGD.learning_rate = 1.0\ninclude 'below/none.gin'\n",
        "bad.gin": "include 'below/leaf.gin'\n\nNothing.x = 1\n",
        "elsewhere/here.gin": "SGD.learning_rate = 7.0\n",
        "uses_here.gin": "include 'here.gin'\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("skip_unknown", [False, True])
def test_includes_lie_beside_the_file_that_includes_them(
    tree: Path, skip_unknown: bool
) -> None:
    configuration.load([str(tree / "main.gin")], skip_unknown=skip_unknown)
    bound = {p: gin.query_parameter(p) for p in configuration.bound_parameters()}
    # What stands behind an include overrides it.
    assert bound == {
        "SGD.learning_rate": 3.0,
        "SGDM.learning_rate": 2.0,
        "SGDM.momentum": 0.5,
    }


def test_includes_are_looked_for_in_the_working_directory_too(tree: Path) -> None:
    configuration.load([str(tree / "uses_here.gin")])
    assert gin.query_parameter("SGD.learning_rate") == 7.0
    absolute = tree / "absolute.gin"
    absolute.write_text(f"include '{tree / 'below' / 'leaf.gin'}'\n")
    configuration.load([str(absolute)])
    assert gin.query_parameter("SGDM.momentum") == 0.5


@pytest.mark.parametrize("skip_unknown", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("circle.gin", r"circle.gin includes .*back.gin includes .*circle.gin\."),
        ("missing.gin", r"missing.gin includes below/none.gin, and there is no such"),
    ],
)
def test_includes_that_lead_nowhere(
    tree: Path, skip_unknown: bool, name: str, message: str
) -> None:
    with pytest.raises(LoptError, match=message):
        configuration.load([str(tree / name)], skip_unknown=skip_unknown)


def test_a_mistake_behind_an_include_is_named(tree: Path) -> None:
    with pytest.raises(LoptError, match="unknown gin configurable 'Nothing'"):
        configuration.load([str(tree / "bad.gin")])


SPELLINGS = {
    "quotes": 'include "below/leaf.gin"  # note',
    "no space": "include'below/leaf.gin'",
    "indented": "  include 'below/leaf.gin'",
    "raw": "include r'below/leaf.gin'",
    "in pieces": "include 'below/' 'leaf.gin'",
    "thrice quoted": "include '''below/leaf.gin'''",
    "continued": "include \\\n 'below/leaf.gin'",
    "escaped": r"include 'below/\x6ceaf.gin'",
    "behind a block": "SGD:\n  learning_rate = 9.0\n\ninclude 'below/leaf.gin'",
}


@pytest.mark.parametrize("skip_unknown", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_includes_are_found_however_they_are_written(
    tree: Path, skip_unknown: bool, spelling: str
) -> None:
    file = tree / "spelt.gin"
    after = "\nSGDM.learning_rate = 4.0\n"
    file.write_text(f"SGDM.momentum = 0.1\n{SPELLINGS[spelling]}{after}")
    configuration.load([str(file)], skip_unknown=skip_unknown)
    assert gin.query_parameter("SGDM.momentum") == 0.5
    assert gin.query_parameter("SGDM.learning_rate") == 4.0


@pytest.mark.parametrize("skip_unknown", [False, True])
def test_what_a_string_holds_includes_nothing(tree: Path, skip_unknown: bool) -> None:
    file = tree / "text.gin"
    text = "\ninclude 'below/none.gin'\n"
    file.write_text(f"note = '''{text}'''\nSGD.learning_rate = 2.0\n")
    configuration.load([str(file)], skip_unknown=skip_unknown)
    assert gin.query_parameter("%note") == text
    assert gin.query_parameter("SGD.learning_rate") == 2.0


def test_lines_behind_an_include_keep_their_numbers(tree: Path) -> None:
    file = tree / "numbers.gin"
    file.write_text("include \\\n  'below/leaf.gin'\n\nSGD.learning_rate =\n")
    with pytest.raises(LoptError, match=r"line 4\)"):
        configuration.load([str(file)])


@pytest.mark.parametrize("skip_unknown", [False, True])
def test_files_of_packages_are_included(
    tree: Path, monkeypatch: pytest.MonkeyPatch, skip_unknown: bool
) -> None:
    package = tree / "path" / "gin_of_tests" / "configs"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "a.gin").write_text("include 'b.gin'\n")
    (package / "b.gin").write_text("SGD.learning_rate = 6.0\n")
    monkeypatch.syspath_prepend(package.parents[1])
    file = tree / "of_package.gin"
    for name in ("gin_of_tests/configs", "gin_of_tests.configs"):
        file.write_text(f"include '{name}/a.gin'\n")
        configuration.load([str(file)], skip_unknown=skip_unknown)
        assert gin.query_parameter("SGD.learning_rate") == 6.0


@pytest.mark.parametrize("skip_unknown", [False, True])
def test_bindings_include_as_files_do(tree: Path, skip_unknown: bool) -> None:
    configuration.load([], ["include '../main.gin'"], skip_unknown=skip_unknown)
    assert gin.query_parameter("SGDM.momentum") == 0.5
    with pytest.raises(LoptError, match=r"includes .*circle\.gin"):
        configuration.load([], ["include '../circle.gin'"], skip_unknown=skip_unknown)


@pytest.mark.parametrize("skip_unknown", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("below", "below is no regular file"),
        ("", "is no regular file"),
        ("pipe", "pipe is no regular file"),
        ("dangling", "dangling is no regular file"),
        (r"below/\x1b[31m\nnone.gin", r"below/\\x1b\[31m\\nnone.gin, and there is no"),
        (r"a\x00b/c.gin", r"includes a\\x00b/c.gin, and there is no such file"),
        ("..below/none.gin", "there is no such file"),
        ("learned_optimization/none.gin", "there is no such file"),
        ("no_such_package.at_all/none.gin", "there is no such file"),
    ],
)
def test_what_is_no_file_is_not_included(
    tree: Path,
    caplog: pytest.LogCaptureFixture,
    skip_unknown: bool,
    name: str,
    message: str,
) -> None:
    os.mkfifo(tree / "pipe")
    (tree / "dangling").symlink_to("nowhere")
    file = tree / "odd.gin"
    file.write_text(f"include '{name}'\n")
    with caplog.at_level(logging.DEBUG), pytest.raises(LoptError) as error:
        configuration.load([str(file)], skip_unknown=skip_unknown)
    error.match(message)
    assert str(error.value).isprintable()
    # gin's readers log names as they are.
    assert not caplog.records


@pytest.mark.parametrize("skip_unknown", [False, True])
def test_an_error_about_a_file_is_not_explained_as_of_a_binding(
    tree: Path, skip_unknown: bool
) -> None:
    with pytest.raises(LoptError) as error:
        configuration.load([str(tree / "missing.gin")], skip_unknown=skip_unknown)
    assert "a binding looks like" not in str(error.value)


# Each in a process of its own: jax reads its variables as it is imported.
@pytest.mark.parametrize(
    ("variable", "allowed"),
    [
        ("JAX_ENABLE_X64", "must be 1 or 0"),
        ("JAX_DEFAULT_MATMUL_PRECISION", "must be what jax's documentation"),
        # One that jax itself does not name.
        ("JAX_TRACER_ERROR_NUM_TRACEBACK_FRAMES", "must be a whole number"),
        # The one that is refused where the first array is made.
        ("JAX_DEFAULT_DEVICE", "must be what jax's documentation"),
    ],
)
def test_a_variable_that_jax_refuses_is_one_line(variable: str, allowed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "learned_optimization.cli.main", "sweep", "--help"],
        env={**os.environ, variable: "Banana"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {variable} {allowed}")
    assert "got 'Banana'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_other_errors_are_not_laid_to_variables_of_jax(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    with pytest.raises(ValueError, match="JAX_ENABLE_X64") as error:
        raise ValueError("invalid truth value for JAX_ENABLE_X64")
    assert refused_by_jax(error.value) is None
