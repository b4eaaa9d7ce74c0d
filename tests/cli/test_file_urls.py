"""A folder named by a `file://` URL is the folder, to every command."""

import os
import re
from pathlib import Path

import pytest

from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.cache import cache_dir
from tests.baselines.files import write_set
from tests.cli.running import TASK, lopt_here

COMMANDS = (
    ("sweep", TASK, "SET"),
    ("status", "-v"),
    ("archive", TASK, "SET"),
    ("status", TASK, "SET", "--json"),
    ("report", TASK, "SET", "-o", "report"),
    ("rm", TASK, "SET", "--yes"),
    ("status",),
)


def outcomes(hparam_set: HParamSet) -> list[str]:
    """Return what each command prints, and the files there are afterwards."""
    said = []
    for command in COMMANDS:
        args = [hparam_set.name if arg == "SET" else arg for arg in command]
        done = lopt_here(*args)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout + done.stderr)
    return [*said, *sorted(map(str, Path(".").rglob("*.npz")))]


@pytest.mark.slow
def test_commands_do_the_same_in_a_folder_and_at_its_url(
    small_set: HParamSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for scheme in ("", "file://"):
        folder = tmp_path / f"as-{scheme[:4]}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        for name in ("BASELINE", "BASELINE_ARCHIVES", "CACHE"):
            place = f"{scheme}{folder}/{name.lower()}"
            monkeypatch.setenv(f"LOPT_{name}_DIR", place)
        assert cache_dir() == folder / "cache"
        for path in write_set(small_set, TASK):
            assert os.path.isfile(path)
        text = "\n".join(outcomes(small_set))
        # Files are named at random, in the order of which they are listed.
        text = re.sub(r"\d{10}\.\d+", "TIME", text)
        text = re.sub(r"\d{8}_\d{6}_[\w-]{10}", "NAME", text)
        text = re.sub(r"\d\d-\d\d \d\d:\d\d", "MINUTE", text)
        text = "\n".join(sorted(text.splitlines()))
        found.append(text.replace(str(folder), "FOLDER"))
    assert found[0] == found[1]
    assert "file:" not in found[1]
