"""`--checkpoint`: a learned optimizer's sets on the command line, and all after it."""

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import TEMPLATES
from learned_optimization.baselines.sets import checkpoints as known_checkpoints
from learned_optimization.baselines.sets.checkpoints import NamedCheckpoint
from learned_optimization.baselines.sets.files import load_user_file
from learned_optimization.baselines.sets.registry import SETS, get_hparam_set
from learned_optimization.baselines.sets.settings import make_optimizer
from learned_optimization.baselines.sweeps.grids import make_grids
from learned_optimization.baselines.sweeps.sweep import set_trials
from learned_optimization.cli.advice import with_its_file
from learned_optimization.cli.choosing import tasks_and_sets_to_run
from learned_optimization.cluster import worker
from learned_optimization.cluster.alike import Installation
from learned_optimization.cluster.packed_files import PackedFiles
from learned_optimization.cluster.worker import Job
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.base import digest_of
from learned_optimization.learned_optimizers.learnable import LearnableAdam
from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from tests.cli.running import TASK, lopt_here, refused

SIZES = "MLPLOpt.hidden_size = 4\nMLPLOpt.hidden_layers = 1\n"


def theta(seed: int) -> dict:
    """Meta-parameters that nothing has trained, of a small network."""
    return MLPLOpt(hidden_size=4, hidden_layers=1).init(jax.random.PRNGKey(seed))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with three checkpoints: a, b with configuration, raw without."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(known_checkpoints, "_KNOWN", {})
    for seed, name in enumerate("ab"):
        checkpoints.save(f"{name}/params", theta(seed), "run", 100)
        config = f"run_train.lopt = @MLPLOpt()\n{SIZES}"
        Path(name, "config.gin").write_text(config)
    checkpoints.save("raw", LearnableAdam().init(jax.random.PRNGKey(0)))
    with SETS.temporarily():
        yield tmp_path


def test_a_template_stands_for_the_set_of_each_checkpoint() -> None:
    names = ["LOpt_1000_R5", TASK, "b_LOpt_1000_R5", "AdamLR_1000_R5"]
    tasks, sets = tasks_and_sets_to_run(names, None, None, ["b=b", "a=a/params"])
    assert tasks == [TASK]
    assert [s.name for s in sets] == [
        "b_LOpt_1000_R5",
        "a_LOpt_1000_R5",
        "AdamLR_1000_R5",
    ]
    _, [later] = tasks_and_sets_to_run(
        [TASK, "LOpt_1000_R5_from5"], None, None, ["a=a"]
    )
    assert (later.name, later.first_seed) == ("a_LOpt_1000_R5_from5", 5)


def test_a_template_without_a_checkpoint_is_refused() -> None:
    for command in ("sweep", "status", "compare"):
        message = refused(lopt_here(command, TASK, "LOpt_1000_R5"))
        assert "LOpt_1000_R5 is the set of a learned optimizer's checkpoint" in message
        assert "--checkpoint NAME=PATH" in message
    assert "did you mean LOpt_1000_R5" in refused(
        lopt_here("plan", TASK, "LOpt_1000_R4")
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["a=a", "a=b"], "two checkpoints are called a"),
        (["a"], "NAME=PATH"),
        (["a=c"], "no such checkpoint: .*/c"),
        (["a=MLPLOp@a/params"], "did you mean MLPLOpt"),
        (["a=NNAdam@a/params"], "does not hold what NNAdam has"),
        (["a=damaged"], "damaged"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    given: list[str], says: str
) -> None:
    Path("damaged").write_bytes(Path("a/params").read_bytes()[:-10])
    options = [part for text in given for part in ("--checkpoint", text)]
    # Of the sets named, that of Adam could be trained.
    names = (TASK, "AdamLR_1000_R5", "LOpt_1000_R5")
    message = refused(lopt_here("sweep", *names, *options))
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(message)


def test_checkpoints_of_one_architecture_are_one_grid() -> None:
    for name in "ab":
        NamedCheckpoint.parse(f"{name}={name}").define()
    sets = [get_hparam_set(f"{name}_LOpt_1000_R5") for name in "ab"]
    trials = [trial for s in sets for trial in set_trials(TASK, s)]
    [grid] = make_grids(trials)
    assert [row[0].opt_name for row in grid.rows] == ["a", "b"]
    for seed, row in enumerate(grid.rows):
        assert row[0].opt.name.endswith(f"_theta{digest_of(theta(seed))}")
    # So are those over learning rates: one optimizer with two numbers.
    sets = [get_hparam_set(f"{name}_LOptLR_1000_R5") for name in "ab"]
    trials = [trial for s in sets for trial in set_trials(TASK, s)]
    [grid] = make_grids(trials)
    assert len(grid.rows) == 28


def test_every_template_makes_trials() -> None:
    for made in NamedCheckpoint.parse("a=a").define():
        # Of the first repetition; all others are the same.
        optimizers = {
            name: make_optimizer(made.optimizer, setting)
            for name, setting in zip(made.opt_names, made.hparams, strict=True)
        }
        assert len({opt.name for opt in optimizers.values()}) == len(optimizers)
        assert all(digest_of(theta(0)) in opt.name for opt in optimizers.values())


DECAY = """\
name: Decayed_20_R1
optimizer: ScaledSteps
num_steps: 20
seeds: 1
fixed: {opt: "@opt_from_checkpoint()", opt_from_checkpoint.checkpoint_path: a/params}
space:
  weight_decay: [0, 0.1]
  learning_rate: {log: [0.1, 10], points: 3}
"""


def test_a_set_file_around_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("decay.yaml").write_text(DECAY)
    [made] = load_user_file("decay.yaml")
    digest = digest_of(theta(0))
    inside = f"opt_from_checkpoint_checkpoint_path{digest}"
    assert made.opt_names[-1] == f"ScaledSteps_opt({inside})_lr10_wd0.1"
    # From another folder it is the same checkpoint.
    monkeypatch.chdir("/")
    [grid] = make_grids(set_trials(TASK, made))
    assert len(grid.rows) == 6
    lopt = MLPLOpt(hidden_size=4, hidden_layers=1)
    expected = f"ScaledSteps_opt({lopt.name}_theta{digest})_lr10.0_wd0.1"
    assert grid.rows[-1][0].opt.name == expected


def test_advice_names_the_checkpoint() -> None:
    NamedCheckpoint.parse("a=a").define()
    name = "a_LOpt_1000_R5"
    assert with_its_file(name, None) == f"{name} --checkpoint a={Path.cwd()}/a/params"
    result = lopt_here("archive", TASK, name, "--checkpoint", "a=a")
    assert result.returncode == 1
    assert f"lopt sweep {TASK} {name} --checkpoint a=" in result.stderr


def test_the_list_of_sets() -> None:
    assert "--checkpoint" in lopt_here("sets", "LOpt_1000_R5").stdout
    listed = json.loads(lopt_here("sets", "--checkpoint", "a=a", "--json").stdout)
    assert [row["name"] for row in listed] == [f"a_{name}" for name in TEMPLATES]
    assert all(row["needs"] == [] for row in listed)
    chosen = lopt_here("sets", "a_*R1", "--checkpoint", "a=a")
    assert "a_LOpt_10000_R1" in chosen.stdout


def shown(*args: str) -> dict:
    result = lopt_here("lopts", *args, "--json")
    assert result.returncode == 0, result.stderr
    [row] = json.loads(result.stdout)
    return row


def test_a_learned_optimizer_is_shown() -> None:
    row = shown("MLPLOpt")
    # 8 features and 11 of time, two layers of 32, two outputs.
    assert row["meta_parameters"] == 19 * 32 + 32 + 32 * 32 + 32 + 32 * 2 + 2
    assert row["arrays"]["mlp/~/linear_0|w"] == [19, 32]
    assert (row["settings"]["hidden_size"], row["needs"]) == (32, [])
    text = lopt_here("lopts", "MLPLOpt").stdout
    assert "mlp/~/linear_0|w" in text
    assert "1,762 meta-parameters in 6 arrays" in text
    assert shown("RNNMLPLOpt")["needs"] == ["loss"]


def test_a_checkpoint_is_shown() -> None:
    row = row_of_a = shown("a")
    assert (row["name"], row["gen_id"], row["step"]) == ("MLPLOpt", "run", 100)
    assert row["path"] == f"{Path.cwd()}/a/params"
    assert row["named_by"] == f"{Path.cwd()}/a/config.gin"
    assert row["bytes"] == Path("a/params").stat().st_size
    assert row["digest"] == digest_of(theta(0))
    assert row["settings"]["hidden_size"] == 4
    assert row["meta_parameters"] == 19 * 4 + 4 + 4 * 2 + 2
    row = shown("raw")
    assert (row["name"], row["meta_parameters"]) == ("LearnableAdam", 4)
    assert row["named_by"] == "the names and shapes of its arrays"
    shutil.copytree("a", "odd [1]")
    assert shown("odd [1]/params")["digest"] == row_of_a["digest"]
    assert shown("LearnableAdam@raw")["named_by"] == "the class given"
    text = lopt_here("lopts", "a").stdout
    assert f"digest {digest_of(theta(0))}, outer step 100 of run run" in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MLPLOp", "did you mean MLPLOpt"),
        ("MLP*x", "unknown learned optimizer 'MLP*x'"),
        ("./nowhere", "no such checkpoint"),
        ("NNAdam@a/params", "does not hold what NNAdam has"),
    ],
)
def test_what_cannot_be_shown(name: str, says: str) -> None:
    assert says in refused(lopt_here("lopts", name))


def test_a_node_of_a_cluster_knows_the_sets() -> None:
    NamedCheckpoint.parse("a=a").define()
    job = Job(
        task_names=(TASK,),
        set_names=("a_LOpt_1000_R5",),
        files=PackedFiles(),
        checkpoints=tuple(known_checkpoints.known_checkpoints()),
        num_groups=1,
        strategy=None,
        sign="",
        installation=Installation(versions=(), jax_config=""),
    )
    with SETS.temporarily():
        # As on a machine that has not been told of it.
        SETS._items.pop("a_LOpt_1000_R5")
        trials = worker._trials(pickle.loads(pickle.dumps(job)))
    assert [trial.opt_name for trial in trials] == ["a"] * 5


@pytest.mark.exhaustive
def test_from_a_checkpoint_to_a_verdict_and_back() -> None:
    given = ("--checkpoint", "ada=LearnableAdam@raw", "--checkpoint", "a=a")
    swept = lopt_here("sweep", TASK, "LOpt_1000_R5", "SGDLR_1000_R5", *given)
    assert swept.returncode == 0, swept.stderr
    assert "LearnableAdam" not in swept.stdout
    assert "80 trials run, 0 had results" in swept.stdout
    names = (TASK, "ada_LOpt_1000_R5", "a_LOpt_1000_R5", "SGDLR_1000_R5")
    assert utils.list_hparam_sets_for_task(TASK) == [
        "SGDLR_1000_R5",
        "a_LOpt_1000_R5",
        "ada_LOpt_1000_R5",
    ]
    # From here on no command is told of the checkpoints: the archives say it.
    for command in (
        ("compare", *names),
        ("report", *names),
        ("plot", *names, "-o", "figure.svg"),
        ("export", *names, "-o", "all.csv"),
        ("status", *names),
        ("race", *names, "--tolerance", "0.1"),
    ):
        SETS._items.pop("ada_LOpt_1000_R5", None)
        SETS._items.pop("a_LOpt_1000_R5", None)
        done = lopt_here(*command)
        assert done.returncode == 0, (command, done.stderr)
        if command[0] in ("compare", "report"):
            assert "1 configuration, so untuned" in done.stdout.replace("\n", " ")
        if command[0] == "race":
            assert "ada_LOpt_1000_R5" in done.stdout
    again = lopt_here("sweep", *names)
    assert "0 trials run, 80 had results" in again.stdout, again.stderr

    # A result says which checkpoint made it.
    [result, *_] = Path(utils.get_root_baseline_dir(), TASK, "ada").rglob("*.curves")
    replayed = lopt_here("replay", str(result))
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    changed = jax.tree.map(
        lambda x: x + 0.1, LearnableAdam().init(jax.random.PRNGKey(0))
    )
    shutil.move("raw", "kept")
    checkpoints.save("raw", changed)
    other = lopt_here("replay", str(result))
    assert other.returncode == 2
    assert "opt_config" in other.stderr
    mixed = lopt_here("sweep", TASK, "ada_LOpt_1000_R5", "--checkpoint", "ada=raw")
    assert mixed.returncode == 2
    assert "ada" in mixed.stderr
    shutil.move("kept", "raw")
    assert lopt_here("rm", TASK, "ada_LOpt_1000_R5", "--yes").returncode == 0


@pytest.mark.slow
def test_it_trains_as_the_optimizer_it_is() -> None:
    # A learned Adam with nothing learned is Adam; so is one at a rate of 1 of it.
    Path("both.yaml").write_text(
        """\
sets:
  - name: Mine_20_R2
    optimizer: ScaledSteps
    num_steps: 20
    seeds: 2
    fixed: {opt: "@opt_from_checkpoint()", opt_from_checkpoint.checkpoint_path: raw}
  - {name: Adam_20_R2, optimizer: Adam, num_steps: 20, seeds: 2, fixed: {RATE: 0.001}}
""".replace("RATE", "learning_rate")
    )
    result = lopt_here("sweep", TASK, "--set", "both.yaml")
    assert result.returncode == 0, result.stderr
    losses = [
        utils.load_archive(TASK, name)["train/loss"]
        for name in ("Mine_20_R2", "Adam_20_R2")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
