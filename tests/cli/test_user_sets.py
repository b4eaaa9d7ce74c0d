"""`--set` and `--import`: a stranger's optimizer and set through the commands."""

from pathlib import Path

import jax
import numpy as np
import optax

from learned_optimization.baselines import load_archive, utils
from learned_optimization.optimizers.optax_opts import OptaxOptimizer
from learned_optimization.tasks.base import get_task_from_name
from tests.cli.test_cli import TASK, lopt, refused
from tests.training import reference_loop

# A third party's optimizer, in fewer than ten lines.
THEIRS = '''\
import optax
from learned_optimization.baselines.user_sets import hparam_set
from learned_optimization.optimizers.optax_optimizer import optax_optimizer

@optax_optimizer
def TheirNadam(learning_rate=0.01):
    """Nesterov's Adam (Dozat 2016)."""
    return optax.nadam(learning_rate)
hparam_set("Theirs_20_R2", TheirNadam, 20, {"learning_rate": [0.1, 0.01]}, seeds=2)
'''

YAML = """\
name: Drawn_20_R2
imports: [theirs.py]
optimizer: TheirNadam
num_steps: 20
seeds: 2
search: random
num_configs: 2
space:
  learning_rate: {log: [1e-3, 1e-1]}
"""


class Nadam(OptaxOptimizer):
    def transformation(self) -> optax.GradientTransformation:
        return optax.nadam(0.01)


def test_an_optimizer_and_sets_from_files(tmp_path: Path) -> None:
    theirs, drawn = tmp_path / "theirs.py", tmp_path / "drawn.yaml"
    theirs.write_text(THEIRS)
    drawn.write_text(YAML)
    assert len(THEIRS.strip().splitlines()) < 10
    files = ("--set", str(theirs), "--set", str(drawn))
    result = lopt("sweep", TASK, *files)
    assert result.returncode == 0, result.stderr
    assert "8 trials run, 0 had results" in result.stdout
    archive = load_archive(TASK, "Theirs_20_R2")
    assert list(archive["opt_name"][:, 0]) == ["TheirNadam_lr0.1", "TheirNadam_lr0.01"]
    want = reference_loop.training_curves(
        get_task_from_name(TASK), Nadam(), 20, jax.random.PRNGKey(1), 10, 5, 10
    )
    np.testing.assert_allclose(
        archive["train/loss"][1, 1], want["train/loss"], rtol=1e-4
    )

    # Run again, by name beside the file, it finds everything.
    result = lopt("sweep", TASK, "Theirs_20_R2", *files)
    assert "0 trials run, 8 had results" in result.stdout
    assert lopt("archive", TASK, *files).stdout.count("archived") == 2
    figure = tmp_path / "figure.png"
    result = lopt("plot", TASK, *files, "-o", str(figure))
    assert result.returncode == 0, result.stderr
    assert "TheirNadam_lr0.1" in result.stdout
    assert figure.stat().st_size > 10_000

    listed = lopt("sets", "Drawn*", *files).stdout
    assert "1 set, 2 configurations, 4 trials" in listed
    assert "Nesterov's Adam" in lopt("optimizers", "--import", str(theirs)).stdout
    result = lopt(
        "train",
        "--import",
        str(theirs),
        f"--gin_bindings=inner_train_task.task=@{TASK}()",
        "--gin_bindings=inner_train_task.opt=@TheirNadam()",
        "--gin_bindings=inner_train_task.num_steps=2",
    )
    assert result.returncode == 0, result.stderr

    # The same name for another setting: nothing is trained.
    theirs.write_text(
        THEIRS.replace("learning_rate=0.01", "learning_rate=0.01, b1=0.5")
    )
    result = lopt("sweep", TASK, "--set", str(theirs))
    assert result.returncode == 2
    assert "holds results of TheirNadam_lr0.1, and this sweep would add some of" in (
        result.stderr
    )
    assert "TheirNadam_lr0.1_b10.5" in result.stderr


def test_refusals(tmp_path: Path) -> None:
    assert "which sets?" in refused(lopt("sweep", TASK))
    assert "did you mean AdamLR_1000_R5" in refused(lopt("sets", "AdamLR_1000_R55"))
    missing = str(tmp_path / "missing.yaml")
    assert "no such file" in refused(lopt("sweep", TASK, "--set", missing))
    assert "must end in .py" in refused(
        lopt("sweep", TASK, "AdamLR_1000_R5", "--import", missing)
    )
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "name: A_20_R5\noptimizer: Adam\nnum_steps: 20\nspace: {lr: [1]}\n"
    )
    message = refused(lopt("sweep", TASK, "--set", str(wrong)))
    assert "wrong.yaml, line 1, set A_20_R5: unknown hyper-parameter" in message
    assert not Path(utils.get_root_baseline_dir()).exists()
