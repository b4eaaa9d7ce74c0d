"""Tasks of the suites for a laptop: on embedded data, and small."""

import pytest

from learned_optimization.tasks import registry
from learned_optimization.tasks.cost import cost
from tests.tiny import data_of

OURS = {
    module: {
        name: entry
        for name, entry in registry.all_fixed_tasks().items()
        if entry.module.endswith(f".{module}")
    }
    for module in ("laptop", "laptop_heldout")
}
every_one = pytest.mark.parametrize("name", OURS["laptop"] | OURS["laptop_heldout"])


def test_there_are_as_many_as_are_meant():
    assert {module: len(tasks) for module, tasks in OURS.items()} == {
        "laptop": 13,
        "laptop_heldout": 8,
    }
    assert not any(e.is_published for tasks in OURS.values() for e in tasks.values())


@every_one
def test_data_is_part_of_the_package(name, tmp_path, monkeypatch):
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path))
    data = data_of(registry.get(name).make())
    assert data.name in ("fashion_mnist", "kjv_bytes", "gaussian_offsets")
    assert data.is_available()
    assert next(data.split("train")).keys() == data.abstract_batch.keys()


@every_one
def test_a_step_is_small(name):
    size = cost(registry.get(name).make())
    assert size.num_params <= 50_000
    # More would be fewer than 500 steps a second of 70 trials on two cores.
    assert size.flops <= 120e6


def test_held_out_tasks_share_no_data_of_one_shape():
    def shapes(module):
        return {
            (data.name, tuple(a.shape[1:]))
            for entry in OURS[module].values()
            for data in [data_of(entry.make())]
            for field, a in data.abstract_batch.items()
            if field != "label"
        }

    assert shapes("laptop") & shapes("laptop_heldout") == set()
