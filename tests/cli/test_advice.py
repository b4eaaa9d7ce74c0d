"""The command that helps is made from what an error knows; the library names none."""

import shlex

import pytest

from learned_optimization.baselines.normalizers import NORMALIZERS, PACKAGED, find_file
from learned_optimization.baselines.results.archives import load_archive
from learned_optimization.baselines.sets.files import load_user_file
from learned_optimization.baselines.sets.registry import SETS, get_hparam_set
from learned_optimization.cli.advice import _OPTIONS, with_advice
from learned_optimization.errors import (
    LoptError,
    MissingArchiveError,
    MissingNormalizerError,
    NotRegisteredError,
)
from learned_optimization.optimizers.base import get_optimizer
from learned_optimization.tasks.datasets.catalog import get_dataset
from learned_optimization.tasks.registry import get
from tests.test_errors import texts_of_the_library


def raised(kind: type[LoptError], call, *args) -> tuple[str, str]:
    """Return the message of an error, and what the command line adds to it."""
    with pytest.raises(kind) as error:
        call(*args)
    message = str(error.value)
    assert "`lopt" not in message
    shown = with_advice(error.value)
    assert shown.startswith(message)
    return message, shown.removeprefix(message)


@pytest.mark.parametrize(
    ("lookup", "command"),
    [
        (get, "lopt tasks"),
        (get_hparam_set, "lopt sets"),
        (get_optimizer, "lopt optimizers"),
        (get_dataset, "lopt data list"),
    ],
)
def test_of_a_name_that_is_not_registered(lookup, command):
    message, added = raised(NotRegisteredError, lookup, "Nowhere")
    assert "'Nowhere'" in message
    assert added == f" (`{command}` lists them all)"


def test_of_a_missing_archive():
    message, added = raised(MissingArchiveError, load_archive, "T", "S")
    assert "no archive of S on T" in message
    assert "archived for this task: nothing" in message
    assert added == " Make it with `lopt sweep T S`."


def test_of_a_missing_archive_of_a_set_of_a_file(tmp_path):
    source = tmp_path / "my sets.yaml"
    source.write_text("{name: Advised_R1, optimizer: SGD, num_steps: 20, seeds: 1}")
    with SETS.temporarily():
        load_user_file(source)
        _, added = raised(MissingArchiveError, load_archive, "T", "Advised_R1")
    command = added.removeprefix(" Make it with `").removesuffix("`.")
    assert shlex.split(command)[1:] == [
        "sweep",
        "T",
        "Advised_R1",
        "--set",
        f"{source}",
    ]


def test_of_a_missing_normalizer():
    for name, spec in NORMALIZERS.items():
        if (PACKAGED / f"{name}.json").exists():
            continue
        message, added = raised(MissingNormalizerError, find_file, name)
        assert all(s in message for s in spec.hparam_sets)
        assert f"lopt sweep TASK {' '.join(spec.hparam_sets)}" in added
        assert f"lopt normalize build {name} TASK -o DIR/{name}.json" in added
    assert (
        "lopt normalize fetch"
        in raised(MissingNormalizerError, find_file, "speedup_over_adam")[1]
    )


def test_of_an_error_within_another():
    def within() -> None:
        try:
            get("Nowhere")
        except LoptError as error:
            raise LoptError(f"file.py, line 3: {error}") from error

    message, added = raised(LoptError, within)
    assert message.startswith("file.py, line 3: unknown task 'Nowhere'")
    assert added == " (`lopt tasks` lists them all)"
    assert with_advice(LoptError("nothing helps")) == "nothing helps"


@pytest.mark.parametrize("argument", _OPTIONS)
def test_arguments_are_named_as_options(argument: str) -> None:
    shown = with_advice(LoptError(f"Something: {argument}."))
    assert "--" in shown
    # What the library says somewhere, as it says it.
    assert any(argument in text for _, text in texts_of_the_library())
