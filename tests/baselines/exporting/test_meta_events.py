"""What TensorBoard's own reader finds of a meta-training."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from learned_optimization.baselines.exporting.meta_events import write_meta_events
from learned_optimization.errors import ResultError
from learned_optimization.npz import write_npz

LOSSES = np.asarray([3.5, 3.25, 3.0, 2.5], np.float32)
SCORES = {
    "score": np.asarray([0.5, -0.125], np.float32),
    "A/score": np.asarray([0.25, -0.5], np.float32),
    "B/score": np.asarray([0.75, np.inf], np.float32),
}


def curves_of(folder: Path, **scores: np.ndarray) -> Path:
    """Write the curves of four meta-steps in 8 seconds, judged after 2 and 4."""
    arrays: dict[str, Any] = {
        "train/xs": np.arange(4, dtype=np.int64),
        "train/loss": LOSSES,
        "num_steps": np.int64(4),
        "opt_name": "MLPLOpt",
        "seed": np.int64(0),
        "timing/run_seconds": np.float64(8.0),
        "eval/xs": np.asarray([2, 4] if scores else [4], np.int64),
        **{f"eval/{name}": values for name, values in scores.items()},
    }
    path = folder / "meta.curves"
    write_npz(str(path), arrays)
    os.utime(path, (1000.0, 1000.0))
    return path


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def test_losses_and_scores_stand_at_their_meta_steps(tmp_path: Path) -> None:
    path = curves_of(tmp_path, **SCORES)
    written = write_meta_events(str(path), str(tmp_path / "logs"))
    assert Path(written).parent == tmp_path / "logs"
    run = read(tmp_path / "logs")
    assert sorted(run.Tags()["scalars"]) == [
        *("meta_loss", "score", "score/A", "score/B"),
    ]
    losses = run.Scalars("meta_loss")
    # After so many meta-steps, and when: it ended at 1000 s, having begun at 992 s.
    assert [event.step for event in losses] == [1, 2, 3, 4]
    np.testing.assert_array_equal([event.value for event in losses], LOSSES)
    assert [event.wall_time for event in losses] == [994.0, 996.0, 998.0, 1000.0]
    for tag, name in (
        ("score", "score"),
        ("score/A", "A/score"),
        ("score/B", "B/score"),
    ):
        events = run.Scalars(tag)
        assert [event.step for event in events] == [2, 4]
        np.testing.assert_array_equal([event.value for event in events], SCORES[name])


def test_a_run_that_nobody_judged_has_losses_alone(tmp_path: Path) -> None:
    write_meta_events(str(curves_of(tmp_path)), str(tmp_path / "logs"))
    assert read(tmp_path / "logs").Tags()["scalars"] == ["meta_loss"]


def test_another_export_takes_the_place_of_the_first(tmp_path: Path) -> None:
    path = str(curves_of(tmp_path, **SCORES))
    first = write_meta_events(path, str(tmp_path / "logs"))
    assert write_meta_events(path, str(tmp_path / "logs")) == first
    assert len(list((tmp_path / "logs").iterdir())) == 1
    assert len(read(tmp_path / "logs").Scalars("meta_loss")) == 4


def test_curves_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"meta\.curves"):
        write_meta_events(str(tmp_path / "meta.curves"), str(tmp_path / "logs"))
    assert not (tmp_path / "logs").exists()
