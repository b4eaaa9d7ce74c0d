"""Docstrings of functions begin with a verb; ruff (D401) refuses "Returns".

The verbs are a list: what is not in it, such as "Number of ...", is no verb, or is
added to it.

Properties, tasks and optimizers made from functions are documented as what they are.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import learned_optimization

PACKAGE = Path(learned_optimization.__file__).parent

ROOT = Path(__file__).parent.parent

_VERBS = """
Add Adjust Archive Arrange Assign Attend Bind Bring Build Call Check Choose Claim Clip
Close Compare Configure Connect Convolve Count Cut Decode Delete Describe Download
Draw End Estimate Execute Export Fetch Fill Find Forget Gather Give Go Import Join
Keep Leave Let List Load Look Make Map Measure Move Normalize Note Open Pass Place
Plot Prepare Print Put Raise Read Record Refuse Register Remove Replace Report Resize
Return Run Say Scale Separate Set Show Split Start Store Submit Take Tell Time Train
Turn Wait Warn Work Wrap Write Yield
"""
VERBS = frozenset(_VERBS.split())
# "Map of", "Set of": a noun that looks like a verb.
NOUN = re.compile(r"\w+ of\b")
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
    firsts = {where: re.split(r"\W", docstring)[0] for where, docstring in rows}
    assert not [f"{w}: {d}" for w, d in rows if firsts[w] not in VERBS]
    assert not [f"{w}: {d}" for w, d in rows if NOUN.match(d)]
    # No verb without a use.
    assert not VERBS - set(firsts.values())


def test_nothing_is_counted_per_article() -> None:
    """ "One per seed", not "one a seed": the short form is not read at first sight."""
    short = re.compile(
        r"\bone (?:row|line|trial|seed|file|item|key)? ?an? (?:seed|trial|"
        r"task|row|configuration|evaluation|split|set)\b",
        re.IGNORECASE,
    )
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert len(pages) > 15
    hits = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in [*sorted(PACKAGE.rglob("*.py")), *pages]
        for match in short.finditer(path.read_text())
    ]
    assert not hits
