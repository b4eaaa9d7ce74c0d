"""Every command and snippet of the README and the docs runs as it stands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.baselines import hparam_sets
from learned_optimization.optimizers import base as optimizers_base
from learned_optimization.tasks import registry

ROOT = Path(__file__).parent.parent
INSTALL_AND_QUICKSTART, TEST_COMMAND, *_ = re.findall(
    r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
)


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of every shell and Python block of a page."""
    text = (ROOT / page).read_text()
    return re.findall(r"```(sh|python)\n(.*?)```", text, flags=re.DOTALL)


def run(language: str, text: str, folder: Path) -> str:
    """Runs one block in a folder, with the tested package's commands at hand."""
    bin_dir = str(Path(sys.executable).parent)
    command = {"sh": ["bash", "-euc", text], "python": [sys.executable, "-c", text]}
    result = subprocess.run(
        command[language],
        cwd=folder,
        env={**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_pages_of_the_documentation(tmp_path):
    # In the order of reading: later pages use the results of earlier ones.
    output = ""
    for page in ("docs/index.md", "docs/results.md", "docs/data.md"):
        found = blocks(page)
        assert found, page
        for language, text in found:
            if "lopt data where fashion_mnist" in text:
                text = text.replace("where fashion_mnist", "list")
            output += run(language, text, tmp_path)
    assert "(14, 5, 101)" in output
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


@pytest.mark.slow
def test_page_on_speed(tmp_path):
    output = "".join(run(*block, tmp_path) for block in blocks("docs/speed.md"))
    assert re.search(r"AdamLR_1000_R5 +│ +70 │ +0 │", output)
    assert "h100=60000x8: " in output
    assert "70 trials run, 0 had results" in output
    # What runs only where there is Slurm is at least a script.
    text = (ROOT / "docs/speed.md").read_text()
    scripts = re.findall(r"```bash title=.*?\n(.*?)```", text, flags=re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        subprocess.run(["bash", "-n", "-c", script], check=True)


@pytest.mark.slow
def test_readme_snippets(tmp_path):
    later = [b for b in blocks("README.md") if b[1] not in _README_COMMANDS]
    assert [language for language, _ in later] == ["sh", "python"]
    for language, text in later:
        run(language, text, tmp_path)
    assert (tmp_path / "adam_sgdm.png").stat().st_size > 10_000


_README_COMMANDS = (INSTALL_AND_QUICKSTART, TEST_COMMAND)


@pytest.mark.slow
def test_readme_first_command_on_a_fresh_copy(tmp_path):
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in files:
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    output = run("sh", INSTALL_AND_QUICKSTART, tmp_path)
    assert "560 trials run, 0 had results" in output
    assert output.count("archived ") == 8
    for name in ("AdamLR_1000_R5", "SGDLR_1000_R5", "LambLR_1000_R5"):
        assert re.search(rf"{name} .*_lr.* ± ", output)
    assert (tmp_path / "quickstart.png").stat().st_size > 10_000


def test_readme_test_command_is_what_ci_runs():
    command = TEST_COMMAND.strip().rpartition("&& ")[2].removeprefix(".venv/bin/")
    assert command == "python -m pytest -n 2"
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("script", ["make_task_table.py", "make_optimizer_table.py"])
def test_generated_pages_are_up_to_date(script):
    command = [sys.executable, ROOT / "scripts" / script, "--check"]
    subprocess.run(command, check=True)


def test_contributing_snippets(monkeypatch):
    task, optimizer, hparam_set = (
        text for language, text in blocks("CONTRIBUTING.md") if language == "python"
    )
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    names = dict(vars(hparam_sets))
    exec(task, names)
    made = registry.get("ImageMLP_FashionMnist16_Tanh64").make()
    assert made.name == "ImageMLP_FashionMnist16_Tanh64"
    image = jnp.zeros((2, 16, 16, 1))
    loss = made.loss(
        made.init(jax.random.PRNGKey(0)),
        jax.random.PRNGKey(1),
        {"image": image, "label": jnp.zeros(2, jnp.int32)},
    )
    # No light, no bias: every class is as likely as any other.
    assert float(loss) == pytest.approx(np.log(10))
    monkeypatch.setattr(optimizers_base, "_REGISTRY", dict(optimizers_base._REGISTRY))
    exec(optimizer, names)
    assert names["NAdam"](learning_rate=1e-3).name == "NAdam_lr0.001_b10.9_b20.999"
    sets = eval(f"[{hparam_set}]", names)
    assert [s.name for s in sets] == ["NAdamLR_1000_R5", "NAdamLR_10000_R5"]
