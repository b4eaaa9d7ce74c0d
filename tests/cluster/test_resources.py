"""What groups get of a cluster, and how many there are."""

import pytest

from learned_optimization.cluster.resources import GroupResources
from learned_optimization.errors import LoptError


@pytest.mark.parametrize(
    ("resources", "node", "places"),
    [
        (GroupResources(1), {"CPU": 8.0}, 8),
        (GroupResources(3), {"CPU": 8.0}, 2),
        (GroupResources(16), {"CPU": 8.0}, 0),
        (GroupResources(1), {"memory": 1e9}, 0),
        (GroupResources(4, 1), {"CPU": 64.0, "GPU": 8.0}, 8),
        (GroupResources(16, 1), {"CPU": 64.0, "GPU": 8.0}, 4),
        (GroupResources(1, 2), {"CPU": 64.0, "GPU": 7.0}, 3),
        (GroupResources(1, 1), {"CPU": 64.0}, 0),
        (GroupResources(1, 0.5), {"CPU": 64.0, "GPU": 3.0}, 6),
        # 0.4 of a GPU twice leaves a rest that is of no use.
        (GroupResources(1, 0.4), {"CPU": 64.0, "GPU": 3.0}, 6),
        (GroupResources(1, 0.1), {"CPU": 64.0, "GPU": 1.0}, 10),
    ],
)
def test_places_of_a_node(resources, node, places):
    assert resources.places(node) == places


@pytest.mark.parametrize(
    ("resources", "num_trials", "num_places", "num_groups"),
    [
        (GroupResources(1), 70, 2, 5),  # 16 trials per core
        (GroupResources(4), 70, 1, 2),
        (GroupResources(1), 70, 100, 70),  # a trial for each place
        (GroupResources(1), 1120, 100, 94),  # 12 trials for each place
        (GroupResources(1), 70, 0, 5),
        (GroupResources(4, 1), 1120, 2, 9),  # 128 trials per GPU
        (GroupResources(1, 0.25), 1120, 4, 35),
        (GroupResources(1, 0, 30), 70, 100, 3),
        (GroupResources(1), 1, 100, 1),
    ],
)
def test_number_of_groups(resources, num_trials, num_places, num_groups):
    assert resources.num_groups(num_trials, num_places) == num_groups


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "the CPUs of a group must be a whole number of at least 1, got 0"),
        ((1, 1.5), "a whole number, or a fraction of one GPU, got 1.5"),
        ((1, -1), "a whole number, or a fraction of one GPU, got -1"),
        ((1, 0, 0), "the trials of a group must be .* got 0"),
    ],
)
def test_what_cannot_be(arguments, message):
    with pytest.raises(LoptError, match=message):
        GroupResources(*arguments)


@pytest.mark.slow
def test_environment_of_a_group(monkeypatch, tmp_path):
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    monkeypatch.setenv("LOPT_BASELINE_DIR", "results")
    monkeypatch.setenv("LOPT_DATA_DIR", "~/data")
    monkeypatch.setenv("LOPT_CACHE_DIR", "cache")
    monkeypatch.chdir(tmp_path)
    here = GroupResources(4).environment()
    assert here["LOPT_SYNTHETIC_DATA"] == "1"
    # A node works in another folder.
    assert here["LOPT_BASELINE_DIR"] == str(tmp_path / "results")
    assert here["LOPT_CACHE_DIR"] == str(tmp_path / "cache")
    assert here["LOPT_DATA_DIR"] == "~/data"
    assert here["JAX_NUM_CPU_DEVICES"] == here["NPROC"] == "4"
    assert here["JAX_PLATFORMS"] == "cpu"
    monkeypatch.setenv("LOPT_BASELINE_DIR", "gs://bucket/results")
    there = GroupResources(4, 0.5).environment()
    assert there["LOPT_BASELINE_DIR"] == "gs://bucket/results"
    assert "JAX_PLATFORMS" not in there
    assert there["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.375"
