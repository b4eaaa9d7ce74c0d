"""Errors: nearest names, numbers that must be whole, and what no message names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import learned_optimization
from learned_optimization.errors import LoptError, UnknownNameError, check_at_least


def test_nearest_names_ignore_case():
    error = UnknownNameError("task", "adamlr", ["AdamLR", "SGDLR"], "`lopt sets`")
    assert str(error) == "unknown task 'adamlr': did you mean AdamLR? (`lopt sets`)"


def test_names_of_a_family_are_near():
    known = ["LionLR_10000_R5", "LionLR_1000_R5", "LiLR", "AdamLR_1000_R5"]
    error = UnknownNameError("set", "lion", [*known, *map(str, range(9))])
    assert str(error).endswith("did you mean LionLR_1000_R5 or LionLR_10000_R5?")
    error = UnknownNameError("set", "li", [*known, *map(str, range(9))])
    assert "LionLR" not in str(error)


def test_few_names_are_all_listed():
    error = UnknownNameError("split", "xyz", ["train", "test"])
    assert str(error) == "unknown split 'xyz': known: test, train."


@pytest.mark.parametrize("value", [0, -1, 1.5, True, float("nan"), "3"])
def test_check_at_least(value):
    with pytest.raises(LoptError, match="num_steps must be a whole number of at least"):
        check_at_least("num_steps", value, 1)


def test_check_at_least_passes():
    check_at_least("num_steps", 1, 1)


PACKAGE = Path(learned_optimization.__file__).parent

COMMAND_OR_OPTION = re.compile(r"\blopt [a-z]+|(?<![\w-])--[a-z]")

_DATA = "data that is missing is prepared by `lopt data prepare`"
MAY_NAME_COMMANDS = {
    "tasks/datasets/prepare.py": f"{_DATA}: its options",
    "tasks/datasets/locations.py": _DATA,
    "tasks/datasets/language.py": _DATA,
    "tasks/datasets/tokenizers.py": "an option of sentencepiece's own trainer",
    "configuration.py": "the flag is that of the published scripts",
    "baselines/report/build.py": "a report shows the command that makes it",
    "baselines/report/race.py": "so does that of a race",
    "baselines/board/page.py": "the board shows how to make each of its lines",
    "baselines/report/cost_words.py": "a report says what measures the costs it lacks",
    "baselines/speedups/specs.py": "a normalizer's file records how to build it",
    "baselines/release/build.py": "a manifest records what trains each archive",
}


def texts_of_the_library() -> Iterator[tuple[str, str]]:
    """Yield each text outside the command line that is no docstring, with its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        nodes = list(ast.walk(ast.parse(path.read_text())))
        alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if name.startswith("cli/") or id(node) in alone:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield name, node.value


def test_messages_of_the_library_name_no_command_and_no_option():
    naming = {(n, t) for n, t in texts_of_the_library() if COMMAND_OR_OPTION.search(t)}
    assert not [(n, t) for n, t in sorted(naming) if n not in MAY_NAME_COMMANDS]
    # No exception without a use.
    assert {name for name, _ in naming} == set(MAY_NAME_COMMANDS)


def test_only_an_error_that_knows_its_facts_is_raised_with_a_command():
    """The files with an exception above that are not about data raise none."""
    for name in ("baselines/report/build.py", "baselines/speedups/specs.py"):
        raised = [
            ast.unparse(node)
            for node in ast.walk(ast.parse((PACKAGE / name).read_text()))
            if isinstance(node, ast.Raise)
        ]
        assert raised
        assert not [text for text in raised if COMMAND_OR_OPTION.search(text)]
