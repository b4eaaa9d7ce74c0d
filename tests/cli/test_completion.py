"""What the shell offers, as bash asks for it."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from learned_optimization import cache
from learned_optimization.baselines import utils
from learned_optimization.cli import known_names
from learned_optimization.cli.main import main
from learned_optimization.optimizers.base import all_optimizers
from learned_optimization.tasks.registry import all_fixed_tasks
from tests.cli.running import TASK

CODE = "import sys\nfrom learned_optimization.cli.main import main\n" + (
    "try:\n    main()\nfinally:\n    print('jax' in sys.modules, file=sys.stderr)"
)


@pytest.fixture
def names_are_stored() -> None:
    known_names.packaged_names()


def bash(line: str) -> dict[str, str]:
    """Return what bash puts into the environment to complete a line."""
    words = line.split(" ")
    return {
        "_LOPT_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }


def complete(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    for name, value in bash(line).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["lopt"])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().out.split()


def test_a_shell_completes_without_jax(names_are_stored):
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **bash(f"lopt sweep AdamLR_1000_R5 {TASK[:-2]}")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        n for n in all_fixed_tasks() if n.startswith(TASK[:-2])
    ]
    assert TASK in done.stdout
    assert done.stderr.strip() == "False"


def test_names_of_every_kind(names_are_stored, monkeypatch, capsys):
    def offered(line: str) -> list[str]:
        return complete(line, monkeypatch, capsys)

    assert offered("lopt sw") == ["sweep"]
    assert offered("lopt normalize sh") == ["show"]
    assert offered("lopt plot AdamLR_1000_") == ["AdamLR_1000_R5"]
    adam = [name for name in all_optimizers() if name.startswith("AdamS")]
    assert offered("lopt optimizers AdamS") == adam
    assert adam
    assert offered("lopt data where fash") == ["fashion_mnist"]
    assert offered("lopt tasks SGDLR_1000_R") == []
    assert offered("lopt sweep --str") == ["--strategy"]
    # After an option its value: where that is a file, bash offers files.
    assert offered("lopt sweep --set ") == []
    assert TASK in offered(f"lopt sweep --set mine.yaml {TASK[:-2]}")


def test_bash_offers_files_where_no_name_is_offered(monkeypatch, capsys):
    monkeypatch.setenv("_LOPT_COMPLETE", "source_bash")
    monkeypatch.setattr(sys, "argv", ["lopt"])
    with pytest.raises(SystemExit):
        main()
    assert "complete -o default -F _lopt_completion lopt" in capsys.readouterr().out


def test_names_where_the_package_is_not_installed(monkeypatch):
    def version(package: str) -> str:
        raise PackageNotFoundError(package)

    names = known_names.packaged_names()
    monkeypatch.setattr(known_names, "version", version)
    assert known_names.packaged_names() == names
    stored = json.loads((cache.cache_dir() / "names.json").read_text())
    assert stored["stamp"].startswith("unknown ")


@pytest.mark.slow
def test_names_of_results(names_are_stored, monkeypatch, capsys):
    Path(utils.get_root_baseline_dir(), "Theirs_task").mkdir(parents=True)
    folder = Path(utils.get_baseline_archive_rootdir(), "Theirs_other")
    folder.mkdir(parents=True)
    (folder / "Theirs_set.npz").touch()
    tasks = ["Theirs_other", "Theirs_task"]
    assert complete("lopt plot Theirs", monkeypatch, capsys) == sorted(
        [*tasks, "Theirs_set"]
    )
    assert complete("lopt sweep Theirs", monkeypatch, capsys) == tasks
    # Remote folders are not asked.
    monkeypatch.setenv("LOPT_BASELINE_DIR", "gs://nowhere/results")
    assert complete("lopt sweep Theirs", monkeypatch, capsys) == ["Theirs_other"]


def test_stored_names_are_those_of_the_package(monkeypatch):
    names = known_names.packaged_names()
    assert names["task"] == list(all_fixed_tasks())
    path = cache.cache_dir() / "names.json"
    stored = json.loads(path.read_text())
    assert stored["names"] == names
    # What is stored is what is offered, as long as the package is the same.
    stored["names"]["task"] = ["Stored"]
    path.write_text(json.dumps(stored))
    assert known_names.packaged_names()["task"] == ["Stored"]
    path.write_text(json.dumps({**stored, "stamp": "of another version"}))
    assert known_names.packaged_names() == names
    stamp, kinds = stored["stamp"], stored["names"]
    for damaged in (
        *("no JSON", "[]", "null", json.dumps({"stamp": stamp})),
        json.dumps({"stamp": stamp, "names": ["Stored"]}),
        json.dumps({"stamp": stamp, "names": {**kinds, "task": None}}),
        json.dumps({"stamp": stamp, "names": {**kinds, "task": [1]}}),
    ):
        path.write_text(damaged)
        assert known_names.packaged_names() == names
        assert json.loads(path.read_text())["names"] == names
    # Where nothing can be stored, names are still offered.
    blocked = path.parent / "file"
    blocked.touch()
    monkeypatch.setenv("LOPT_CACHE_DIR", str(blocked))
    assert known_names.packaged_names() == names
