"""Meta-training on a real Ray cluster is that of one process, whoever is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from learned_optimization.baselines.results.format import read_result
from learned_optimization.cluster.alike import Installation
from learned_optimization.cluster.meta_worker import (
    Group,
    MetaJob,
    groups_of,
    train_shares,
)
from learned_optimization.cluster.packed_files import PackedFiles
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.learnable import LearnableSGDM
from learned_optimization.outer_trainers.mixes import families_of
from learned_optimization.outer_trainers.program import MetaProgram, MetaRunner
from learned_optimization.outer_trainers.recipe import Recipe
from learned_optimization.prng import seed_words
from tests.cli.running import TASK, lopt, lopt_here, refused
from tests.cluster.nodes import RayCluster, ray_cluster

LOPT = LearnableSGDM(initial_lr=0.02)
RECIPE = Recipe(num_steps=12, min_length=8, max_length=30, truncation=5, num_tasks=2)
LARGER_TASK, NUM_STEPS = "ImageMLP_FashionMnist8_64x64_Relu_MSE", 8
# What is larger, Ray leaves on the node that made it.
MOST_BYTES_THAT_RAY_RETURNS = 100 * 1024

DRIVER = """\
import sys

import jax
import numpy as np

from learned_optimization.cluster.connection import connected
from learned_optimization.cluster.resources import GroupResources
from tests.cluster.test_meta_training import LARGER_TASK, LOPT, NUM_STEPS, RECIPE

address, path = sys.argv[1:]
with connected(address):
    from learned_optimization.cluster.meta_training import ClusterRunner, meta_job

    job = meta_job(LOPT, [LARGER_TASK], RECIPE)
    runner = ClusterRunner(job.program(), job, GroupResources())
    losses = []
    for step in range(NUM_STEPS):
        if step == NUM_STEPS // 4:
            # As a checkpoint does: what is lost later is made again from here.
            runner.state
        if step == NUM_STEPS // 2:
            print("half", flush=True)
            input()
        losses += runner.advance(1).tolist()
    np.savez(path, *jax.tree.leaves(runner.state), losses=losses)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as started:
        yield started


def program() -> MetaProgram:
    return RECIPE.program(LOPT, families_of([LARGER_TASK]))


def described(installation: Installation) -> MetaJob:
    settings = (("initial_lr", LOPT.initial_lr),)
    name, files = "LearnableSGDM", PackedFiles()
    return MetaJob(name, settings, (LARGER_TASK,), None, RECIPE, files, installation)


@pytest.mark.exhaustive
def test_the_command_trains_on_a_cluster_what_it_does_alone(
    cluster: RayCluster, tmp_path: Path
) -> None:
    length = f"{RECIPE.min_length}-{RECIPE.max_length}"
    command = (
        *("meta-train", "--task", TASK, "--pairs", "2", "--length", length),
        *("--truncation", "5", "--meta-steps", "12", "--out"),
    )
    for name, *options in (["alone"], ["cluster", "--ray", cluster.address]):
        made = lopt(*command, str(tmp_path / name), *options, JAX_NUM_CPU_DEVICES="2")
        assert made.returncode == 0, made.stderr
    alone, on_cluster = (
        read_result(str(tmp_path / name / "meta.curves"), ["train/loss"], True)
        for name in ("alone", "cluster")
    )
    np.testing.assert_allclose(on_cluster["train/loss"], alone["train/loss"], rtol=1e-5)
    thetas = (
        jax.tree.leaves(checkpoints.read(str(tmp_path / name / "params")).params)
        for name in ("alone", "cluster")
    )
    for a, b in zip(*thetas, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_node_that_is_lost_changes_nothing(
    cluster: RayCluster, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, cluster.address, str(tmp_path / "end.npz")],
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "1"},
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if said:
            cluster.kill_node()
        _, stderr = process.communicate("go on\n", timeout=300)
    assert (said, process.returncode) == ("half\n", 0), stderr
    end = dict(np.load(tmp_path / "end.npz"))

    runner = MetaRunner(program(), jax.devices()[:2])
    losses = runner.advance(NUM_STEPS)
    np.testing.assert_allclose(end["losses"], losses, rtol=1e-5)
    leaves = jax.tree.leaves(runner.state)
    of_a_share = sum(leaf.nbytes for leaf in jax.tree.leaves(runner.state.problems)) / 2
    assert of_a_share > MOST_BYTES_THAT_RAY_RETURNS
    assert len(end) == len(leaves) + 1
    for i, leaf in enumerate(leaves):
        np.testing.assert_allclose(end[f"arr_{i}"], leaf, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_how_shares_are_grouped_and_which_was_first_changes_nothing() -> None:
    job = described(Installation.of_this_process())
    begun = jax.jit(program().init)(seed_words(RECIPE.seed), None)
    begun = jax.tree.map(np.asarray, begun)
    theta = program().theta(begun)
    both, first, second = Group(0, 2, 2), Group(0, 1, 2), Group(1, 2, 2)
    after, together = train_shares(job, both, 1, theta, begun.problems)
    assert together.shape[0] == 2
    assert not np.allclose(together[0], together[1])
    # A meta-step that is done again, as where it was lost, behind a later one.
    for group, iteration in ((second, 4), (second, 1), (first, 1)):
        part = jax.tree.map(lambda x, g=group: x[g.of(len(x))], begun.problems)
        made, alone = train_shares(job, group, iteration, theta, part)
        if iteration == 1:
            np.testing.assert_allclose(
                alone[0], together[group.first], rtol=1e-4, atol=1e-5
            )
            for a, b in zip(*map(jax.tree.leaves, (made, after)), strict=True):
                np.testing.assert_allclose(a, b[group.of(2)], rtol=1e-4, atol=1e-5)


def test_a_node_that_computes_other_numbers_is_named() -> None:
    other = Installation(("jax==0.0.1",), Installation.of_this_process().jax_config)
    job = described(other)
    with pytest.raises(LoptError, match=r"on .*: jax==0\.0\.1 started the meta-train"):
        train_shares(job, Group(0, 1, 1), 0, {}, ())


@pytest.mark.parametrize(
    ("num_shares", "num_places", "sizes"),
    [(8, 3, [2, 3, 3]), (2, 16, [1, 1]), (5, 0, [5]), (6, 2, [3, 3])],
)
def test_every_share_is_in_one_group(
    num_shares: int, num_places: int, sizes: list[int]
) -> None:
    groups = groups_of(num_shares, num_places)
    assert [g.stop - g.first for g in groups] == sizes
    covered = [i for g in groups for i in range(g.first, g.stop)]
    assert covered == list(range(num_shares))


def test_options_that_do_not_fit_a_cluster_are_refused(tmp_path: Path) -> None:
    out = ("meta-train", "--task", TASK, "--out", str(tmp_path / "run"))
    message = refused(lopt_here(*out, "--ray-cpus", "2"))
    assert "--ray-cpus without a Ray cluster: name it by --ray ADDRESS" in message
    message = refused(lopt_here(*out, "--ray", "auto", "--gin_file", "a.gin"))
    assert "with --ray, leave out --gin_file and --gin_bindings" in message
    assert not (tmp_path / "run").exists()
