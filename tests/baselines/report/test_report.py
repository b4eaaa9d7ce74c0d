"""The report's words, tables and page; how it looks is in test_browser.py."""

import base64
import csv
import gzip
import html.parser
import io
import json
import re

import numpy as np
import pytest

from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.analysis.smoothing import smooth
from learned_optimization.baselines.report import build, build_report, rows, words
from learned_optimization.baselines.report.build import analyse, files_of_report
from learned_optimization.baselines.report.content import content
from learned_optimization.baselines.report.latex import as_latex
from learned_optimization.errors import LoptError, ResultError
from tests.baselines.archives import FACTS, write_archive, write_three


def packed(page, part):
    match = re.search(rf'id="packed-{part}">([^<]*)<', page)
    assert match is not None
    return gzip.decompress(base64.b64decode(match[1])).decode()


@pytest.fixture
def two_tasks():
    names = write_three("T", noise=0.01)
    write_three("U", noise=0.01)
    return analyse(["T", "U"], names)


def test_page_is_whole(tmp_path, two_tasks):
    names = [r.set_name for r in two_tasks[0][0]]
    path = build_report(["T", "U"], names, str(tmp_path / "out"), title="A <title>")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "index.html",
        "overall.csv",
        "pairs.csv",
        "results.json",
        "table.tex",
        "tasks.csv",
    ]
    page = (tmp_path / "out" / "index.html").read_text()
    assert path == str(tmp_path / "out" / "index.html")
    assert "A &lt;title&gt;" in page
    # Nothing is fetched from anywhere.
    assert re.findall(r'(?:src|href)="(?!#)([^"]*)"', page) == ["data:,"]
    assert packed(page, "plotly").startswith("/**\n* plotly.js")
    data = json.loads(packed(page, "data"))
    assert list(data["sets"]) == names
    assert data["downloads"]["tasks.csv"] == (tmp_path / "out/tasks.csv").read_text()
    for task in ("T", "U"):
        for name in names:
            assert f"<code>lopt sweep {task} {name}</code>" in page
    assert f"lopt report T U {' '.join(names)} --reference {names[0]}" in page
    assert "jax==1.2.3, optimizer-baselines==0.1.0" in page
    assert "cpu cpu x 2" in page

    class Balanced(html.parser.HTMLParser):
        open_tags: list[str]

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "link", "input", "line"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag):
            assert self.open_tags.pop() == tag

    parser = Balanced()
    parser.open_tags = []
    parser.feed(page)
    assert parser.open_tags == ["option"] * 0


def test_curves_are_those_of_the_archive(two_tasks):
    results, compared = two_tasks
    data = content(results, compared)
    json.dumps(data, allow_nan=False)
    result = results[1][2]
    drawn = data["tasks"][1]["sets"][result.set_name]
    for level, ema in enumerate(data["smoothing"]):
        curve = drawn["curves"]["test"][level]
        whole = smooth(result.curves.losses["test"][result.best.index], ema).mean(0)
        at = np.searchsorted(result.curves.xs, curve["x"])
        np.testing.assert_allclose(curve["y"], whole[at], rtol=1e-3)
        assert max(curve["y"]) == pytest.approx(whole.max(), rel=1e-3)
        assert min(curve["y"]) == pytest.approx(whole.min(), rel=1e-3)
        low = np.interp(curve["x"], curve["bx"], curve["lo"])
        assert (low <= np.asarray(curve["y"]) * 1.001).all()
    assert drawn["sensitivity"]["lr"] == [0.01, 0.1, 1.0]
    np.testing.assert_allclose(
        drawn["sensitivity"]["loss"], result.final.mean(axis=1), rtol=1e-3
    )
    profile = data["profile"]
    assert profile["tau"][0] == 1.0
    assert profile["share"][compared.overall[0].set_name][-1] == 1.0


def test_tuning_over_updates_where_lengths_differ():
    for name, num_evals in (("Short", 51), ("Long", 101), ("Other", 101)):
        write_archive("T", name, [[0.5] * 5, [0.6] * 5], num_evals=num_evals)
    chart = 'id="tuning-updates"'
    results, verdict = analyse(["T"], ["Short", "Long"])
    assert chart in files_of_report(results, verdict)["index.html"]
    sets = content(results, verdict)["tasks"][0]["sets"]
    steps = {name: of_set["tuning"]["steps"] for name, of_set in sets.items()}
    # An evaluation every 10 updates.
    assert steps == {"Short": 500, "Long": 1000}
    alike = files_of_report(*analyse(["T"], ["Long", "Other"]))
    assert chart not in alike["index.html"]


def test_caveats():
    write_archive(
        "T",
        "A",
        [[0.5], [0.6], [0.9]],
        opt="A",
        start=1.0,
        facts={**FACTS, "synthetic_data": np.bool_(True)},
    )
    write_archive("T", "B", [[np.nan], [np.nan], [np.nan]], num_evals=51)
    said = "\n".join(words.caveats(*analyse(["T"], ["A", "B"])))
    assert "MADE-UP DATA" in said
    assert "Final losses are of the last evaluation, over a few batches." in said
    assert "1 seed only" in said
    assert "edge of its set, so a better one may lie outside: A." in said
    assert "Every configuration has a diverged seed: B." in said
    assert "The only seed both chooses and reports, which flatters: A and B." in said
    assert "and count as not trained: B (1)." in said
    assert "smoothed by an average of 0.9 per evaluation" in said
    assert "B (100%)" in said


def test_csv_and_json(two_tasks):
    results, compared = two_tasks
    table = list(csv.DictReader(io.StringIO(rows.as_csv(rows.task_rows(*two_tasks)))))
    assert len(table) == 6
    assert list(table[0]) == list(rows.task_rows(*two_tasks)[0])
    first = table[0]
    assert (first["task"], first["set"], first["rank"]) == ("T", "SGDMLR_1000_R5", "1")
    losses = load_set_result("T", "SGDMLR_1000_R5").final[1, 1:]
    assert float(first["loss"]) == pytest.approx(losses.mean())
    whole = json.loads(rows.as_json(results, compared))
    assert whole["reference"] == "AdamLR_1000_R5"
    assert whole["tolerance"] == 0.01
    assert whole["tasks"][0]["p_value"] == 1.0
    assert whole["tasks"][0]["is_out"] is False
    np.testing.assert_allclose(
        whole["losses_of_seeds"]["T"]["SGDMLR_1000_R5"], losses, rtol=1e-3
    )
    pairs = list(
        csv.DictReader(io.StringIO(files_of_report(results, compared)["pairs.csv"]))
    )
    # Three over the tasks, and three on each.
    assert [p["task"] for p in pairs] == [""] * 3 + ["T"] * 3 + ["U"] * 3
    assert pairs[0]["outcome"] == "better"
    assert pairs[0]["sentence"] == "SGDMLR_1000_R5 is better than AdamLR_1000_R5"


def test_forest_is_in_the_order_of_the_tables(two_tasks):
    results, compared = two_tasks
    data = content(results, compared)
    forest = data["forest"]
    order = [row["set"] for row in forest["rows"]]
    assert order == [o.set_name for o in compared.overall]
    assert order == [row["set"] for row in data["scores"]]
    assert order == [row["set"] for row in rows.overall_rows(compared)]
    assert forest["tolerance"] == 0.01
    for row, overall in zip(forest["rows"], compared.overall, strict=True):
        assert row["is_out"] == overall.is_out
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["low"] == pytest.approx(overall.difference.low, rel=1e-3)
    for of_task, task in zip(data["tasks"], compared.tasks, strict=True):
        of_rows = [row["set"] for row in of_task["forest"]["rows"]]
        assert of_rows == of_task["order"] == [s.set_name for s in task.standings]
    single, alone = analyse(["T"], ["AdamLR_1000_R5"])
    assert content(single, alone)["forest"] is None
    single, alone = analyse(["T"], [r.set_name for r in results[0]])
    data = content(single, alone)
    assert data["forest"] == data["tasks"][0]["forest"]
    assert data["sets"]["AdamLR_1000_R5"]["label"] == "Adam"


def test_latex(two_tasks):
    text = as_latex(*two_tasks)
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert body[0] == r"set & T & U \\"
    assert body[1].startswith(r"SGDMLR\_1000\_R5 & $\mathbf{0.3")
    assert [line.count("&") for line in body] == [2] * 4
    assert "mathbf" not in body[2] + body[3]
    assert "*" not in body[2] + body[3]
    assert text.count("{") == text.count("}")


def test_latex_bolds_the_first_and_what_is_equivalent_alone():
    rng = np.random.default_rng(3)
    a = rng.normal(0.5, 0.05, size=20)
    ends = {
        "A": a,
        "Same": a + 0.002 * rng.standard_normal(20),
        # Worse by a p of about 0.07: it is not told apart, and no winner either.
        "Maybe": a + 0.03 + 0.06 * rng.standard_normal(20),
        "Worse": a + 0.5,
    }
    for name, losses in ends.items():
        write_archive("T", name, [losses], seeds=range(20))
    results, compared = analyse(["T"], list(ends))
    task = compared.tasks[0]
    assert not task.standing("Maybe").is_out
    cells = {
        line.split(" & ")[0]: line for line in as_latex(results, compared).splitlines()
    }
    assert "mathbf" in cells["A"]
    assert "mathbf" in cells["Same"]
    assert "mathbf" not in cells["Maybe"] + cells["Worse"]
    assert "^{*}" in cells["Maybe"]
    assert "^{*}" not in cells["Worse"]


def test_latex_marks_nothing_of_few_seeds():
    for name, losses in (("A", [0.5, 0.5]), ("B", [1.0, 1.0])):
        write_archive("T", name, [losses], seeds=range(2))
    text = as_latex(*analyse(["T"], ["A", "B"]))
    assert "$0.5000$" in text
    assert "mathbf" not in text
    assert "^{*}" not in text


def test_the_page_says_what_p_is(two_tasks):
    page = files_of_report(*two_tasks)[build.PAGE]
    assert "of being the best" not in page
    assert "p, none better" in page
    assert "smoothed by an average of 0.9 per" in page


def test_refusals_write_nothing(tmp_path):
    write_three()
    for tasks, sets, problem in (
        ([], ["AdamLR_1000_R5"], "at least one task"),
        (["T"], ["AdamLR_1000_R5", "Missing"], "no archive of Missing"),
    ):
        with pytest.raises(LoptError, match=problem):
            build_report(tasks, sets, str(tmp_path / "out"))
    with pytest.raises(LoptError, match="the reference X is none"):
        build_report(["T"], ["AdamLR_1000_R5"], str(tmp_path / "out"), reference="X")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ResultError, match="no archive"):
        analyse(["V"], ["AdamLR_1000_R5"])


@pytest.mark.slow
def test_sixteen_sets_on_five_tasks_stay_small():
    # What is random compresses worst: real curves are smoother.
    names = [f"Set{i}_lr" for i in range(16)]
    for task in range(5):
        for i, name in enumerate(names):
            final = np.random.default_rng(100 * task + i).random((3, 5))
            write_archive(
                f"Task{task}", name, final, num_evals=1001, noise=0.1, decay=0.01
            )
    results, compared = analyse([f"Task{i}" for i in range(5)], names)
    page = files_of_report(results, compared)[build.PAGE]
    assert len(page.encode()) < 3e6
