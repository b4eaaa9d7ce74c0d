"""Templates of a checkpoint's sets, against what is written of the published ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from learned_optimization import configuration
from learned_optimization.baselines import hparam_sets
from learned_optimization.baselines.hparam_sets import TEMPLATES
from learned_optimization.baselines.plots.styles import styles
from learned_optimization.baselines.results.archiving import find_set
from learned_optimization.baselines.sets.checkpoint_sets import (
    family_of_name,
    split_set_name,
)
from learned_optimization.baselines.sets.checkpoints import (
    NamedCheckpoint,
    checkpoint_of,
)
from learned_optimization.baselines.sets.registry import SETS, all_hparam_sets
from learned_optimization.errors import LoptError, UnknownNameError

TASK = "ImageMLP_FashionMnist8_Relu32"
PATH = "somewhere/params"

# Transcribed from the description of the published functions.
THOUSANDS = [n * 1_000 for n in (1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)]
PLAIN = {f"LOpt_{n}_R5": (n, 5) for n in THOUSANDS} | {"LOpt_10000_R1": (10_000, 1)}
# Ours: lengths beyond those of meta-training, to see whether it carries over.
PLAIN |= {"LOpt_6000_R5": (6_000, 5)}
ACCUMULATED = {f"LOptGradAccum10_{n}_R5": n for n in THOUSANDS if n >= 5_000}
OURS = [
    f"{family}_{n}_R5"
    for family in ("LOptLR", "LOptCosineLR")
    for n in (1_000, 2_000, 10_000)
]


def binding(opt: str, opt_name: str, num_steps: int, seed: int) -> dict[str, Any]:
    return {
        "inner_train_task.task": f"@{TASK}()",
        "inner_train_task.task_name": TASK,
        "inner_train_task.opt": f"@{opt}()",
        "inner_train_task.opt_name": opt_name,
        "inner_train_task.num_steps": num_steps,
        "inner_train_task.eval_every": 10,
        "inner_train_task.eval_batches": 5,
        "inner_train_task.last_eval_batches": 10,
        "inner_train_task.seed": seed,
    }


def published(name: str) -> Any:
    return getattr(hparam_sets, name)(TASK, "mine", PATH)


def folder(opt_name: str, num_steps: int) -> str:
    return f"{TASK}/{opt_name}/{num_steps}_10_5_10"


def test_there_are_those_published_and_ours() -> None:
    others = ["GradAccum_LOpt_16384_R5", "GraftedShampoo_LOpt_10000_R5"]
    assert set(TEMPLATES) == {*PLAIN, *ACCUMULATED, *others, *OURS}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_ones(name: str) -> None:
    num_steps, seeds = PLAIN[name]
    configurations, [(save_dir, repetitions)] = published(name)
    path = {"opt_from_checkpoint.checkpoint_path": PATH}
    assert configurations == [
        binding("opt_from_checkpoint", "mine", num_steps, seed) | path
        for seed in range(seeds)
    ]
    assert save_dir.endswith(folder("mine", num_steps))
    assert repetitions == seeds


@pytest.mark.parametrize("name", ACCUMULATED)
def test_accumulating_ones(name: str) -> None:
    num_steps = ACCUMULATED[name]
    configurations, [(save_dir, repetitions)] = published(name)
    assert configurations == [
        binding("GradientAccumulator", "mine", num_steps, seed)
        | {
            "GradientAccumulator.opt": "@opt_from_checkpoint()",
            "GradientAccumulator.num_average": 10,
            "opt_from_checkpoint.checkpoint_path": PATH,
        }
        for seed in range(5)
    ]
    assert save_dir.endswith(folder("mine", num_steps))
    assert repetitions == 5


def test_over_numbers_of_gradients() -> None:
    configurations, save_dirs = published("GradAccum_LOpt_16384_R5")
    numbers = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    assert configurations == [
        binding("GradientAccumulator", f"GradLOpt{n}_mine", 16_384, seed)
        | {
            "GradientAccumulator.opt": "@opt_from_checkpoint()",
            "GradientAccumulator.num_average": n,
            "opt_from_checkpoint.checkpoint_path": PATH,
        }
        for seed in range(5)
        for n in numbers
    ]
    assert [repetitions for _, repetitions in save_dirs] == [5] * 12
    for n, (save_dir, _) in zip(numbers, save_dirs, strict=True):
        assert save_dir.endswith(folder(f"GradLOpt{n}_mine", 16_384))


def test_grafted_one() -> None:
    configurations, [(save_dir, repetitions)] = published(
        "GraftedShampoo_LOpt_10000_R5"
    )
    assert configurations == [
        binding("GraftedOptimizer", "mine", 10_000, seed)
        | {
            "GraftedOptimizer.magnitude_opt": "@opt_from_checkpoint()",
            "GraftedOptimizer.direction_opt": "@Shampoo()",
            "Shampoo.learning_rate": 1.0,
            "Shampoo.block_size": 128,
            "opt_from_checkpoint.checkpoint_path": PATH,
        }
        for seed in range(5)
    ]
    assert save_dir.endswith(folder("mine", 10_000))
    assert repetitions == 5


@pytest.mark.parametrize("name", OURS)
def test_rates_are_those_of_adams_sets(name: str) -> None:
    template = TEMPLATES[name]
    kind, num_steps, _ = name.split("_")
    adam = all_hparam_sets()[
        "AdamLR_1000_R5" if kind == "LOptLR" else "AdamCosineLR_1000_R5"
    ]
    made = template.with_checkpoint("celo", PATH)
    assert made.name == f"celo_{name}"
    assert (made.num_steps, made.repetitions) == (int(num_steps), 5)
    assert made.opt_names == tuple(n.replace("Adam", "celo") for n in adam.opt_names)
    for mine, theirs in zip(made.hparams, adam.hparams, strict=True):
        checkpoint = {"opt": "@opt_at_rate_one()"}
        checkpoint["opt_at_rate_one.checkpoint_path"] = PATH
        steps = {
            "CosineDecay.num_steps": float(num_steps),
            "CosineDecay.warmup_steps": int(num_steps) / 20,
        }
        expected = {**theirs, **checkpoint}
        assert mine == expected | (steps if kind == "LOptCosineLR" else {})


def test_sets_of_one_checkpoint_share_no_folder() -> None:
    own = [t.with_checkpoint("mine", PATH) for t in TEMPLATES.values()]
    folders = [(s.num_steps, n) for s in own for n in s.opt_names]
    # Those of one and of five seeds are the same trials.
    assert len(folders) - len(set(folders)) == 1
    assert all("mine" in name for _, name in folders)


def test_gin_calls_them_by_name() -> None:
    bindings = {"LOpt_1000_R5.opt_name": "mine", "LOpt_1000_R5.opt_path": PATH}
    with configuration.bound(bindings):
        assert find_set("LOpt_1000_R5")(TASK) == published("LOpt_1000_R5")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("celo_LOpt_1000_R5", ("celo", "LOpt_1000_R5")),
        ("a_b_LOptLR_1000_R5", ("a_b", "LOptLR_1000_R5")),
        ("celo_LOpt_1000_R5_from5", ("celo", "LOpt_1000_R5")),
        (
            "x_GraftedShampoo_LOpt_10000_R5",
            ("x", "GraftedShampoo_LOpt_10000_R5"),
        ),
        ("LOpt_1000_R5", None),
        ("AdamLR_1000_R5", None),
        ("GraftedShampoo_LOpt_10000_R5", None),
    ],
)
def test_a_sets_name_says_what_it_is_of(
    name: str, parts: tuple[str, str] | None
) -> None:
    got = split_set_name(name)
    assert (got and (got[0], got[1].name)) == parts


def test_sets_of_several_lengths_are_drawn_alike() -> None:
    for name in ("celo", "velo"):
        families = {f"{name}_LOpt_{n}_R5": name for n in (1_000, 2_000)}
        families |= {f"{name}_LOptLR_{n}_R5": f"{name}LR" for n in (1_000, 10_000)}
        for set_name, family in families.items():
            assert family_of_name(set_name) == family
    assert family_of_name("AdamLR_1000_R5") == "AdamLR_1000_R5"
    first, second = (
        styles([f"celo_LOpt_{n}_R5"])[f"celo_LOpt_{n}_R5"] for n in (1_000, 2_000)
    )
    assert first == second


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file: what is in it, nothing here reads."""
    path = tmp_path / "params"
    path.write_bytes(b"theta")
    return path


@pytest.fixture
def own_registry() -> Iterator[None]:
    with SETS.temporarily():
        yield


@pytest.mark.usefixtures("own_registry")
def test_a_checkpoint_makes_its_sets_known(file: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(file.parent)
    checkpoint = NamedCheckpoint.parse("celo=params")
    assert checkpoint == NamedCheckpoint("celo", str(file))
    assert NamedCheckpoint.parse(f"celo={file.parent}") == checkpoint
    assert NamedCheckpoint.parse(str(checkpoint)) == checkpoint
    made = checkpoint.define()
    assert [s.name for s in made] == [f"celo_{name}" for name in TEMPLATES]
    own = all_hparam_sets()["celo_LOpt_1000_R5"]
    assert (own.opt_names, own.family) == (("celo",), "celo")
    assert own.hparams == ({"opt_from_checkpoint.checkpoint_path": str(file)},)
    assert checkpoint_of("celo_LOptLR_1000_R5") == checkpoint
    assert checkpoint_of("AdamLR_1000_R5") is None
    other = file.parent / "other"
    other.write_bytes(b"theta")
    NamedCheckpoint.parse(f"celo={other}").define()
    own = all_hparam_sets()["celo_LOpt_1000_R5"]
    assert own.hparams == ({"opt_from_checkpoint.checkpoint_path": str(other)},)


@pytest.mark.usefixtures("own_registry")
def test_a_class_of_its_own(file: Path) -> None:
    checkpoint = NamedCheckpoint.parse(f"mine=LearnableAdam@{file}")
    assert checkpoint == NamedCheckpoint("mine", str(file), "LearnableAdam")
    assert NamedCheckpoint.parse(str(checkpoint)) == checkpoint
    own = next(s for s in checkpoint.define() if s.name == "mine_LOptLR_1000_R5")
    assert own.hparams[0]["opt_at_rate_one.extra_bindings"] == (
        "run_train.lopt = @LearnableAdam()",
    )
    # What looks like a class is a file of that name, where there is one.
    odd = file.parent / "LearnableAdam@params"
    odd.write_bytes(b"theta")
    assert NamedCheckpoint.parse(f"mine={odd}").architecture == ""


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("celo", LoptError, "NAME=PATH"),
        ("celo=", LoptError, "NAME=PATH"),
        ("=FILE", LoptError, "letters, digits"),
        ("a/b=FILE", LoptError, "letters, digits"),
        ("-a=FILE", LoptError, "letters, digits"),
        (f"{'a' * 101}=FILE", LoptError, "at most 100 bytes"),
        ("celo_v1.0=FILE", LoptError, "whole numbers as celo_v1"),
        ("x_GraftedShampoo=FILE", LoptError, "another checkpoint"),
        ("GradAccum=FILE", None, ""),
        ("celo=FILE.no", LoptError, "no such checkpoint: .*params.no"),
        ("celo=LearnableAdm@FILE", UnknownNameError, "LearnableAdam"),
        ("celo=LearnableAdam@FILE.no", LoptError, "no such checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    text: str, error: type[LoptError] | None, says: str, file: Path
) -> None:
    text = text.replace("FILE", str(file))
    if error is None:
        assert str(NamedCheckpoint.parse(text)) == text
        return
    with pytest.raises(error, match=says):
        NamedCheckpoint.parse(text)
