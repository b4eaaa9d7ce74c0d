"""Every command of `lopt`: its name, where it is, and what it does in one line.

The one place where commands are named. It imports none of them, so that
`lopt --help` and completion answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
      function: the function, as `module:function` within `learned_optimization.cli`.
      summary: the first line of its docstring; a test holds the two together.
      takes: what its arguments are names of, of `completion.KINDS`.
    """

    function: str
    summary: str
    takes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Commands that share their first word.

    Attributes:
      summary: what they are about.
      commands: name to command.
    """

    summary: str
    commands: Mapping[str, Command]


_TASKS_AND_SETS = ("task", "suite", "set")
_ARCHIVES = (*_TASKS_AND_SETS, "archive")

COMMANDS: dict[str, Command | Group] = {
    "quickstart": Command(
        "quickstart:quickstart",
        "Compare eight optimizers: 560 trials on real data, archives, table, figure.",
    ),
    "challenge": Command(
        "challenge:challenge",
        "Compare an optimizer of yours with the baselines, on a suite of small tasks.",
        ("optimizer", "set", "suite", "task"),
    ),
    "sweep": Command(
        "sweep:sweep",
        "Train every trial of the sets that has no result yet, on every task named.",
        _TASKS_AND_SETS,
    ),
    "race": Command(
        "race:race",
        "Find which of several sets is best on the tasks named, with few trials.",
        _TASKS_AND_SETS,
    ),
    "plan": Command(
        "plan:plan",
        "Estimate what the trials that have no result yet will cost.",
        _TASKS_AND_SETS,
    ),
    "bench": Command(
        "bench:bench",
        "Measure training against a Python loop and the machine's peak.",
        ("task", "suite", "optimizer", "set"),
    ),
    "archive": Command(
        "archive:archive",
        "Archive complete sets, one file per task and set.",
        _TASKS_AND_SETS,
    ),
    "plot": Command(
        "plot:plot",
        "Plot archived sets: by default the best configuration of each over training.",
        _ARCHIVES,
    ),
    "compare": Command(
        "compare:compare",
        "Say which of several archived sets is best, and how sure that is.",
        _ARCHIVES,
    ),
    "report": Command(
        "report:report",
        "Compare archived sets on one page: verdict, curves, tables, origin.",
        _ARCHIVES,
    ),
    "serve": Command(
        "report:serve",
        "Show the report in a browser, and update it when results change.",
        _TASKS_AND_SETS,
    ),
    "export": Command(
        "export:export",
        "Export archived sets: every set named, on every task named.",
        _ARCHIVES,
    ),
    "import": Command(
        "importing:import_curves",
        "Make result files and an archive of curves trained elsewhere (CSV, parquet).",
        ("task",),
    ),
    "train": Command(
        "train:train", "Train one task with one optimizer, configured by gin."
    ),
    "meta-train": Command(
        "meta_train:meta_train",
        "Train a learned optimizer, and keep the best on held-out tasks.",
    ),
    "status": Command(
        "status:status",
        "Count the trials of sets by state: done, diverged, failed, archived, missing.",
        _TASKS_AND_SETS,
    ),
    "rm": Command(
        "rm:rm",
        "Delete results and archives, after listing them.",
        _TASKS_AND_SETS,
    ),
    "replay": Command(
        "replay:replay",
        "Train a stored trial again, from what its file records, and compare.",
    ),
    "diff": Command(
        "replay:diff", "Compare two result files or two archives, key by key."
    ),
    "tasks": Command("lists:tasks", "List the fixed tasks.", ("task", "suite")),
    "suites": Command(
        "suites:suites",
        "List the suites, or the tasks of one with their data and cost.",
        ("suite",),
    ),
    "sets": Command(
        "sets:sets",
        "List the hparam sets, and those that a checkpoint of yours completes.",
        ("set",),
    ),
    "optimizers": Command(
        "lists:optimizers",
        "List the optimizers with their default settings and what they need.",
        ("optimizer",),
    ),
    "lopts": Command(
        "lopts:lopts",
        "List the learned optimizers, or what one of them or a checkpoint holds.",
        ("learned optimizer",),
    ),
    "data": Group(
        "Data sets: list, find and prepare them.",
        {
            "list": Command(
                "data:list_datasets",
                "List the data sets and whether each is available.",
                ("data set",),
            ),
            "where": Command(
                "data:where",
                "Print where a data set is, or where it is looked for.",
                ("data set",),
            ),
            "prepare": Command(
                "data:prepare_dataset",
                "Check a data set's original files and store them in a fast form.",
                ("data set",),
            ),
            "check": Command(
                "data:check",
                "Compare the prepared forms of a data set with their checksums.",
                ("data set",),
            ),
        },
    ),
    "release": Group(
        "Baselines that are already trained: list, fetch, verify and build releases.",
        {
            "list": Command(
                "release:list_releases",
                "List the releases on this machine, or what lies at an address.",
            ),
            "fetch": Command(
                "release:fetch",
                "Fetch a release, or archives others published, and check them.",
                _ARCHIVES,
            ),
            "verify": Command(
                "release_verify:verify",
                "Check a release: its bytes, its form, and trials trained again.",
            ),
            "build": Command(
                "release_build:build",
                "Build a release: train what is not trained yet, and thin it.",
                _TASKS_AND_SETS,
            ),
        },
    ),
    "normalize": Group(
        "Speed-ups over a tuned baseline: build, apply and show normalizers.",
        {
            "list": Command(
                "normalize:list_normalizers",
                "List the normalizers and where each is stored.",
            ),
            "build": Command(
                "normalize:build",
                "Build normalizers of tasks from the archives of their baseline.",
                ("task", "suite"),
            ),
            "fetch": Command(
                "normalize:fetch",
                "Download published normalizers, and store them where they are found.",
            ),
            "apply": Command(
                "normalize:apply",
                "Print how much faster than the baseline the best of each set is.",
                _ARCHIVES,
            ),
            "show": Command(
                "normalize:show",
                "List the tasks of a normalizer, or the curve of one of them.",
                ("task",),
            ),
        },
    ),
}
"""Name to command or group, in the order of the help."""
