"""The benchmark measures what it says; how fast is for people to judge."""

import json

import pytest

from learned_optimization.benchmarking import peak
from tests.cli.running import TASK, lopt, lopt_here, refused


@pytest.mark.exhaustive
def test_table_json_and_plot(tmp_path):
    files = [str(tmp_path / name) for name in ("bench.json", "bench.png")]
    result = lopt(
        *("bench", TASK, "--trials", "1", "--seconds", "0.2", "--profile"),
        *("--json", files[0], "--plot", files[1]),
        JAX_NUM_CPU_DEVICES="2",
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "bench.json").read_text())
    rows = {row["way"]: row for row in found["rows"] if row["num_steps"] == 10_000}
    assert {row["num_steps"] for row in found["rows"]} == {1_000, 10_000, 100_000}
    assert sum(found["profiles"][TASK]["shares"].values()) == pytest.approx(1)
    assert "matrix products" in result.stdout
    assert {"loop", "default", "1 at once", "1 at once, YNNPACK"} <= set(rows)
    assert rows["loop"]["ratio"] == 1.0
    loop, whole = rows["loop"], rows["default"]
    rates = [row["trial_steps_per_second"] for row in (whole, loop)]
    assert whole["ratio"] == pytest.approx(rates[0] / rates[1])
    # A trial-step is 1.3 MFLOP, and with its share of evaluations 2.2.
    most = found["peak_gflops"] * 1e9
    assert whole["share_of_peak"] == pytest.approx(rates[0] * 2.2e6 / most, rel=0.02)
    assert all(row["peak_mib"] > 50 for row in found["rows"])
    assert f"{whole['ratio']:.1f}" in result.stdout
    assert (tmp_path / "bench.png").stat().st_size > 5_000


SUITE = """
suites:
  - {name: one_task, tasks: [ImageMLP_FashionMnist8_Relu32], num_steps: 100, seeds: 2}
"""


@pytest.mark.exhaustive
def test_a_suite_is_measured_as_a_whole(tmp_path):
    (tmp_path / "suite.yaml").write_text(SUITE)
    result = lopt(
        *(
            "bench",
            "one_task",
            "--set",
            str(tmp_path / "suite.yaml"),
            "--with",
            "Celo2",
        ),
        *("--seconds", "0.2", "--json", str(tmp_path / "bench.json")),
        JAX_NUM_CPU_DEVICES="2",
    )
    assert result.returncode == 0, result.stderr
    [found] = json.loads((tmp_path / "bench.json").read_text())["suites"]
    adam, celo = found["rows"]
    assert (adam["optimizer"], celo["optimizer"]) == ("Adam", "Celo2")
    # 14 learning rates; a learned optimizer has one setting.
    assert (adam["num_trials"], celo["num_trials"]) == (28, 2)
    assert adam["train_seconds"] == pytest.approx(
        28 * 101 / adam["trial_steps_per_second"]
    )
    parts = ("train_seconds", "final_seconds", "compile_seconds")
    for row in (adam, celo):
        assert min(row[part] for part in parts) > 0
        assert row["seconds"] == pytest.approx(sum(row[part] for part in parts))
        assert found["suite_seconds"][row["optimizer"]] == row["seconds"]
    # Only the first optimizer is compared with the loop.
    assert adam["ratio"] > 1
    assert celo["ratio"] is None
    meta = found["meta_training"]
    assert meta["inner_steps_per_second"] == pytest.approx(
        2 * 16 * 50 * meta["meta_steps_per_second"]
    )
    assert 0 < meta["share_of_peak"] < 1
    assert meta["ratio"] > 1
    assert f"meta-training on {TASK}" in result.stdout
    assert "the whole suite" in result.stdout


def test_what_goes_with_suites():
    assert "name of a suite" in refused(lopt_here("bench", TASK, "--with", "Muon"))
    message = refused(lopt_here("bench", "laptop", "--trials", "5"))
    assert "leave out --trials and --plot" in message
    message = refused(lopt_here("bench", "laptop", "--with", "Muonn"))
    assert "'Muonn': did you mean Muon" in message


def test_wrong_arguments():
    message = refused(lopt_here("bench", TASK, "--trials", "1,x"))
    assert "e.g. 1,5,14,70; got '1,x'" in message
    assert "did you mean" in refused(lopt_here("bench", TASK + "x")).lower()


def test_the_peak_is_a_rate_of_this_century(monkeypatch):
    monkeypatch.setattr(peak, "_SIZE", 256)
    assert 1e8 < peak.matmul_peak() < 1e18
