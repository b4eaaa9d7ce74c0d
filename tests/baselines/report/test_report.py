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


def test_verdict_in_words(two_tasks):
    said = " ".join(words.headline(*two_tasks))
    assert said.startswith("Over 2 tasks SGDMLR_1000_R5 comes first")
    assert "No other set may be the best (95% sure, compared seed by seed)." in said
    assert "On T SGDMLR_1000_R5 comes first: final test loss 0.3" in said
    single = " ".join(words.headline(*analyse(["T"], ["AdamLR_1000_R5"])))
    assert "There is no other set" in single


def test_equals_are_named():
    rng = np.random.default_rng(1)
    for name in ("A", "B", "C"):
        final = 0.5 + 0.1 * rng.random((1, 5)) + 3 * (name == "C")
        write_archive("T", name, final, seeds=range(5), start=5.0)
    said = " ".join(words.headline(*analyse(["T"], ["A", "B", "C"])))
    assert re.search(
        r"the best may also be [AB] \(95% sure, .*\). The 1 other can", said
    )


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
    assert "different numbers of steps: 500 and 1,000" in said
    assert "1 seed only" in said
    assert "edge of its set, so a better one may lie outside: A." in said
    assert "Every configuration has a diverged seed: B." in said
    assert "The only seed both chooses and reports, which flatters: A and B." in said
    assert "a seed diverged, and counts as not trained: B." in said
    assert "B (100%)" in said


def test_csv_and_json(two_tasks):
    results, compared = two_tasks
    table = list(csv.DictReader(io.StringIO(rows.as_csv(rows.task_rows(*two_tasks)))))
    assert len(table) == 6
    first = table[0]
    assert (first["task"], first["set"], first["rank"]) == ("T", "SGDMLR_1000_R5", "1")
    nested = load_set_result("T", "SGDMLR_1000_R5").nested.report
    assert float(first["loss"]) == nested.mean()
    whole = json.loads(rows.as_json(results, compared))
    assert whole["reference"] == "AdamLR_1000_R5"
    assert whole["tasks"][0]["p_value"] == 1.0
    np.testing.assert_allclose(
        whole["nested_losses"]["T"]["SGDMLR_1000_R5"], nested, rtol=1e-3
    )


def test_latex(two_tasks):
    text = rows.as_latex(*two_tasks)
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert body[0] == r"set & T & U \\"
    assert body[1].startswith(r"SGDMLR\_1000\_R5 & $\mathbf{0.3")
    assert [line.count("&") for line in body] == [2] * 4
    assert "mathbf" not in body[2] + body[3]
    assert text.count("{") == text.count("}")


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
