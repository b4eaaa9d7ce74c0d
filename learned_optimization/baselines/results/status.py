"""The state of each trial of a set: which are done, and what became of the others."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import present_folder
from learned_optimization.baselines.layout import (
    check_roots,
    get_baseline_archive_path,
    get_root_baseline_dir,
)
from learned_optimization.baselines.release import places
from learned_optimization.baselines.results import run_notes
from learned_optimization.baselines.results.archives import own_archived_tasks
from learned_optimization.baselines.results.claim_files import Claim
from learned_optimization.baselines.results.format import FINISHED
from learned_optimization.baselines.results.index import (
    TrialEntry,
    open_entry,
    remember,
    trial_entries,
)
from learned_optimization.baselines.results.matching import by_setting, copies, fill
from learned_optimization.baselines.results.run_notes import RunNote
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.errors import FileContentError, MissingFileError

STATES = (*FINISHED, *run_notes.UNFINISHED, "archived", "missing")
"""The states; every trial of a set is in one of them.

`archived` are trials without a result file, of a set that has an archive, such as a
fetched one.
"""

OTHER = "(other)"
"""Stands for results of a task that belong to no known set."""


@dataclass
class SetStatus:
    """The states of the trials of one set on one task.

    Attributes:
      task: the task's name.
      hparam_set: the set's name, or `OTHER`.
      num_trials: trials of the set.
      counts: number of trials in each of `STATES`; they add up to `num_trials`.
      bad: result files that cannot be read.
      copies: result files of trials that have another one, which is used.
      size: bytes of the result files.
      modified: seconds since 1970 of the newest result file; 0 if there is none.
      archive: `yes`, `no`, `old` if a result is newer than the archive, or `release` if
        there is none but that of a release.
      more_seeds: results of its configurations with seeds beyond its last.
      trials: for each trial that is not done, archived or missing, its folder, seed,
        state and the reason.
      bad_files: path and problem of each bad file.
      running: the claims of those who train trials of the set now, and how many
        each trains.
    """

    task: str
    hparam_set: str
    num_trials: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    copies: int = 0
    size: int = 0
    modified: float = 0.0
    archive: str = "no"
    more_seeds: int = 0
    trials: list[tuple[str, int, str, str]] = field(default_factory=list)
    bad_files: list[tuple[str, str]] = field(default_factory=list)
    running: list[tuple[Claim, int]] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """Whether there is anything of one's own of any trial."""
        absent = self.counts["missing"]
        if self.archive == "release":
            absent += self.counts["archived"]
        return self.bad + self.more_seeds > 0 or absent < self.num_trials

    @property
    def num_with_results(self) -> int:
        """How many trials have a result file, however they ended."""
        return sum(self.counts[state] for state in FINISHED)

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dict that JSON can hold."""
        return {
            "task": self.task,
            "set": self.hparam_set,
            "trials": self.num_trials,
            **{state.replace(" ", "_"): self.counts[state] for state in STATES},
            "bad": self.bad,
            "copies": self.copies,
            "more_seeds": self.more_seeds,
            "bytes": self.size,
            "modified": self.modified,
            "archive": self.archive,
            "not_done": [
                {"folder": folder, "seed": seed, "state": state, "reason": reason}
                for folder, seed, state, reason in self.trials
            ],
            "bad_files": [
                {"path": path, "problem": problem} for path, problem in self.bad_files
            ],
            "trained_by": [
                {
                    "owner": str(claim.owner),
                    "trials": count,
                    "since": claim.since,
                    "last_heartbeat": claim.renewed,
                }
                for claim, count in self.running
            ],
        }


def status(
    task_names: Sequence[str],
    hparam_sets: Sequence[HParamSet],
    known_sets: Sequence[HParamSet] = (),
    on_read: Callable[[int, int], None] | None = None,
    check: bool = False,
) -> list[SetStatus]:
    """Return the states of the trials of sets on tasks.

    Args:
      task_names: the tasks; every task that has results if empty.
      hparam_sets: the sets; if empty, every set of `known_sets` that the task has
        results of, and the results that belong to none.
      known_sets: all sets.
      on_read: called now and then with how many files were opened, and how many must
        be.
      check: open every file and check every byte, whatever the index says.

    Returns:
      One row per task and set, tasks in the order of their names.

    Raises:
      ResultError: if the results cannot be reached.
    """
    check_roots()
    root = get_root_baseline_dir().rstrip("/")
    if task_names:
        entries = [
            entry
            for task in dict.fromkeys(task_names)
            for entry in trial_entries(f"{root}/{task}", on_read)
        ]
    else:
        entries = trial_entries(root, on_read)
    if check:
        entries = _checked(entries, on_read)
    by_task: dict[str, dict[str, list[TrialEntry]]] = defaultdict(dict)
    for entry in entries:
        folder = entry.folder
        by_task[_task_of(folder, root)].setdefault(folder, []).append(entry)
    notes = {
        (f"{root}/{folder}", seed): note
        for note in run_notes.read_all()
        for folder, seed in note.trials
    }
    if damaged := run_notes.damaged():
        reasons = "\n".join(f"  {error}" for error in damaged)
        warnings.warn(
            f"{len(damaged)} notes on trials without results are bad:\n{reasons}",
            stacklevel=2,
        )
    if unknown := run_notes.unreachable():
        reasons = "\n".join(f"  {error}" for error in unknown)
        warnings.warn(
            f"{len(unknown)} files that say who trains which trials, or how trials "
            "ended, cannot be read, so that these may be counted as missing:\n"
            f"{reasons}",
            stacklevel=2,
        )
    tasks = sorted(
        task_names
        or {*by_task, *(_task_of(p, root) for p, _ in notes), *own_archived_tasks()}
    )
    rows = []
    for task in tasks:
        folders = by_task[task]
        of_sets = [_row(task, s, folders, notes) for s in hparam_sets or known_sets]
        if not hparam_sets:
            of_sets = [row for row in of_sets if row.has_begun]
            of_sets += _others(task, known_sets, folders)
        rows += of_sets
    return rows


def _task_of(folder: str, root: str) -> str:
    return folder.removeprefix(f"{root}/").partition("/")[0]


def _checked(
    entries: list[TrialEntry], on_read: Callable[[int, int], None] | None
) -> list[TrialEntry]:
    checked = []
    for i, entry in enumerate(entries):
        # It may have gone since it was listed.
        with suppress(MissingFileError):
            try:
                info = filesystem.info(entry.path)
            except FileContentError as error:
                checked.append(replace(entry, status="bad", problem=str(error)))
                continue
            now = open_entry(info, whole=True)
            if now != entry and now.is_lasting:
                remember(info, now)
            checked.append(now)
        if on_read is not None and i % 100 == 99:
            on_read(i + 1, len(entries))
    return checked


def _row(
    task: str,
    hparam_set: HParamSet,
    folders: dict[str, list[TrialEntry]],
    notes: dict[tuple[str, int], RunNote],
) -> SetStatus:
    row = SetStatus(task, hparam_set.name, hparam_set.num_trials)
    claimed: Counter[Claim] = Counter()
    for folder, _ in hparam_set.save_dirs(task):
        present = present_folder(folder)
        entries = by_setting(folders.get(present, [])).get(present, [])
        filled = fill(entries, hparam_set.seeds, synthetic=True)
        for seed in hparam_set.seeds:
            entry, note = filled.get(seed), notes.get((folder, seed))
            if entry is not None:
                state, reason = entry.status, how_it_diverged(entry)
            elif note is not None:
                state, reason = note.status, note.reason
                if note.claim is not None:
                    claimed[note.claim] += 1
            else:
                state, reason = "missing", ""
            row.counts[state] += 1
            if state not in ("done", "missing"):
                row.trials.append((folder, seed, state, reason))
        # Older files, which record no seed, are of the first ones.
        of_set = [e for e in entries if (e.seed or 0) in hparam_set.seeds]
        row.more_seeds += sum(
            e.status != "bad" and (e.seed or 0) >= hparam_set.seeds.stop
            for e in entries
        )
        _count_files(row, of_set)
    row.running = list(claimed.items())
    path = get_baseline_archive_path(task, hparam_set.name)
    if places.find(task, hparam_set.name) is not None:
        row.archive = "release"
    with suppress(MissingFileError):
        is_old = filesystem.info(path).modified < row.modified
        row.archive = "old" if is_old else "yes"
    if row.archive != "no":
        row.counts["archived"] = row.counts.pop("missing", 0)
    return row


def how_it_diverged(entry: TrialEntry) -> str:
    """Return from which update on a trial diverged, and what is known of why."""
    note = f"; {entry.divergence_note}" if entry.divergence_note else ""
    return f"from step {entry.diverged_from}{note}"


def _count_files(row: SetStatus, entries: Sequence[TrialEntry]) -> None:
    row.copies += sum(len(copies(group)) for group in by_setting(entries).values())
    row.size += sum(entry.size for entry in entries)
    row.modified = max((row.modified, *(entry.modified for entry in entries)))
    row.bad_files += [(e.path, e.problem) for e in entries if e.status == "bad"]
    row.bad = len(row.bad_files)


def _others(
    task: str, known_sets: Sequence[HParamSet], folders: dict[str, list[TrialEntry]]
) -> list[SetStatus]:
    repetitions: dict[str, int] = defaultdict(int)
    for hparam_set in known_sets:
        for folder, count in hparam_set.save_dirs(task):
            folder = present_folder(folder)
            repetitions[folder] = max(repetitions[folder], count)
    row = SetStatus(task, OTHER)
    for folder, entries in folders.items():
        if folder in repetitions:
            entries = [e for e in entries if (e.seed or 0) >= repetitions[folder]]
        readable = [entry for entry in entries if entry.status != "bad"]
        row.counts.update(entry.status for entry in readable)
        row.num_trials += len(readable)
        _count_files(row, entries)
    return [row] if row.num_trials or row.bad else []
