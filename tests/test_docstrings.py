"""Docstrings of functions begin with a verb; ruff (D401) refuses "Returns".

Properties, tasks and optimizers made from functions are documented as what they are.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import learned_optimization

PACKAGE = Path(learned_optimization.__file__).parent

# What a docstring begins with that names what is returned instead of saying so.
NO_VERBS = (
    *("The", "A", "An", "One", "Every", "Each", "All", "Both", "Nothing"),
    *("Whether", "How", "What", "Where", "When", "Which", "That", "Those", "This"),
    *("Of", "In", "At", "As", "With", "Within", "For", "After", "Before", "Until"),
)
NAMES_ITSELF = re.compile(r"property|computed|setter|fixed_task|optax_optimizer")


def function_docstrings() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            docstring = ast.get_docstring(node)
            if docstring and not NAMES_ITSELF.search(decorators):
                where = f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
                yield where, docstring.partition("\n")[0]


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    rows = list(function_docstrings())
    assert len(rows) > 800
    assert not [f"{w}: {d}" for w, d in rows if d.split()[0].strip(",:") in NO_VERBS]


def test_nothing_is_counted_per_article() -> None:
    """ "One per seed", not "one a seed": the short form is not read at first sight."""
    short = re.compile(
        r"\bone (?:row|line|trial|seed|file|item|key)? ?an? (?:seed|trial|"
        r"task|row|configuration|evaluation|split|set)\b",
        re.IGNORECASE,
    )
    hits = [
        f"{path.relative_to(PACKAGE)}: {match[0]}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for match in short.finditer(path.read_text())
    ]
    assert not hits
