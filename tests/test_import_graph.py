"""Arrows between modules run one way: no circle, and none against the order of rooms.

Imports within functions count as much as those at the top of a module; those for types
alone do too.
"""

import ast
import graphlib
import re
from pathlib import Path

import grimp
import pytest

import learned_optimization

PACKAGE = "learned_optimization"

# From the floor to the roof: a room imports what stands above it in this list.
ROOMS = [
    "text",
    "json_reading",
    "errors",
    "numerics",
    "prng",
    "durable",
    "learning_rates",
    "listing",
    "locking",
    "filesystem",
    "environment",
    "registry",
    "configurable",
    "gin_files",
    "configuration",
    "recorded_gin",
    "cache",
    "npz",
    "tasks.datasets",
    "tasks",
    "optimizers",
    "torch_optimizers",
    "learned_optimizers",
    "research",
    "training",
    "benchmarking.optimizer_cost",
    "eval_training",
    "outer_trainers",
    "tasks.fixed.lopt",
    "tasks.fixed.all",
    "baselines.layout",
    "baselines.folder_names",
    "baselines.stats",
    "baselines.sets",
    "baselines.hparam_sets",
    "baselines.suites",
    "baselines.release",
    "baselines.results",
    "baselines.utils",
    "baselines.analysis",
    "baselines.sweeps",
    "baselines.task_timing",
    "baselines.speedups",
    "baselines.release.agreement",
    "baselines.release.describe",
    "baselines.release.checks",
    "baselines.release.build",
    "baselines.release.fetch",
    "baselines.release.verify",
    "baselines.normalizers",
    "baselines.exporting",
    "baselines.importing",
    "baselines.plots",
    "baselines.vis",
    "baselines.best_of_set",
    "baselines.figures",
    "baselines.user_sets",
    "baselines",
    "baselines.report",
    "baselines.board",
    "benchmarking",
    "cluster",
    "cli.advice",
    "cli.output",
    "cli.gin_command",
    "outer_train",
    "cli.signals",
    "notebooks",
    "baselines.run_archive",
    "baselines.run_time_task",
    "baselines.run_trainer",
    "cli",
]


# Modules that import by a name made at run time, which the graph does not see.
IMPORT_BY_NAME = {
    "registry": "a registry's home is text: it knows no package that registers",
    "configuration": "modules a user names, or that gin text mentions",
    "tasks.datasets.locations": "one module per format of files, named in a data set",
    "optimizers.base": "names that moved, on demand: their modules import this one",
    "learned_optimizers.base": "published names, on demand: their modules import it",
    "torch_optimizers.define": "the class a user names, and the library it is in",
    "baselines.exporting.libraries": "what extras install, which need not be there",
    "cli.lazy": "a command's module is imported when it is called",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


def room(module: str) -> str:
    """Return the innermost room that a module is in."""
    name = module.removeprefix(f"{PACKAGE}.")
    inside = [r for r in ROOMS if name == r or name.startswith(f"{r}.")]
    # `baselines` is a room for the package's own module alone.
    inside = [r for r in inside if r != "baselines" or name == r]
    assert inside, f"{module} is in no room: put it into one, or into the list"
    return max(inside, key=len)


def test_every_module_is_in_a_room(graph: grimp.ImportGraph) -> None:
    rooms = {room(module) for module in graph.modules if module != PACKAGE}
    assert rooms == set(ROOMS)


def test_no_arrow_runs_against_the_order(graph: grimp.ImportGraph) -> None:
    backward = [
        f"{importer} imports {imported}"
        for importer in graph.modules - {PACKAGE}
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported != PACKAGE
        and ROOMS.index(room(imported)) > ROOMS.index(room(importer))
    ]
    assert not backward, sorted(backward)


def test_there_is_no_circle(graph: grimp.ImportGraph) -> None:
    arrows = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    # Raises a CycleError that names the modules of a circle.
    list(graphlib.TopologicalSorter(arrows).static_order())


def test_the_graph_sees_imports_within_functions(graph: grimp.ImportGraph) -> None:
    assert f"{PACKAGE}.baselines.exporting" in graph.find_modules_directly_imported_by(
        f"{PACKAGE}.baselines"
    )
    assert graph.count_imports() > 800
    assert not [m for m in graph.modules if re.search(r"\s", m)]


def imports_by_name(source: str) -> bool:
    """Return whether a module calls `import_module`, or what it stands for."""
    names = {"import_module", "__import__"}
    return any(
        (isinstance(node, ast.Name) and node.id in names)
        or (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.alias) and node.name in names)
        for node in ast.walk(ast.parse(source))
    )


def test_what_the_graph_does_not_see_is_listed() -> None:
    root = Path(learned_optimization.__file__).parent
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in root.rglob("*.py")
        if imports_by_name(path.read_text())
    }
    assert modules == set(IMPORT_BY_NAME)
