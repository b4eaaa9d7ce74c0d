"""The report in a real browser: it works, on a phone too, and is accessible."""

import itertools
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.report import build_report
from learned_optimization.baselines.report.serve import LiveReport, make_server
from tests.baselines import faults, files
from tests.baselines.archives import (
    FACTS,
    SPLITS,
    curves_to,
    gin_text,
    write_archive,
    write_three,
)

pytestmark = pytest.mark.slow
TASKS = ("FirstTask", "SecondTask")
FORESTS = ("forest", "task-forest")


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if "CI" in os.environ:
            pytest.fail("chromium is not installed: .ci/run has to install it")
        pytest.skip("NO BROWSER: install chromium to test the report in it")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def sets():
    names = write_three(TASKS[0], noise=0.01)
    write_three(TASKS[1], noise=0.01)
    for task in TASKS:
        write_archive(task, "Broken", [[np.nan] * 5] * 3, facts=FACTS, seeds=range(5))
    return [*names, "Broken"]


@pytest.fixture
def report(sets, tmp_path):
    return Path(build_report(TASKS, sets, str(tmp_path / "report"))).as_uri()


class Page:
    """A page that must not complain."""

    def __init__(self, browser, url, **options):
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("console", lambda m: self.complaints.append((m.type, m.text)))
        self.page.on("pageerror", lambda error: self.complaints.append(error))
        self.page.on("request", self._no_network)
        self.page.goto(url)

    def _no_network(self, request):
        if not request.url.startswith(("file:", "data:", "blob:", "http://127.0.0.1")):
            self.complaints.append(f"asks the network for {request.url}")

    def ready(self):
        self.page.wait_for_selector("body[data-ready=yes]")
        return self.page

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()
        if error[0] is None:
            assert self.complaints == []


def lines(page, chart):
    """Names and y values of what a chart draws as lines."""
    return page.evaluate(
        "(id) => document.getElementById(id).data.filter((t) => t.name)"
        ".map((t) => [t.name, t.y])",
        chart,
    )


def test_everything_is_drawn_and_reacts(chromium, report, sets):
    with Page(chromium, report) as opened:
        page = opened.ready()
        for chart in (*FORESTS, "scores", "curves", "sensitivity", "tuning"):
            assert page.locator(f"#{chart} svg.main-svg").count() > 0, chart
        drawn = dict(lines(page, "curves"))
        assert next(iter(drawn)).split(":")[0] == "SGDMLR_1000_R5"
        assert len(drawn) == 4
        assert page.locator("#curves .scatterlayer path.js-line").count() >= 3

        # Raw curves are not the smoothed ones; the log axis is one.
        page.select_option("#smoothing", "0")
        assert dict(lines(page, "curves")) != drawn
        page.check("#logx")
        page.check("#logy")
        for axis in ("xaxis", "yaxis"):
            kind = f"document.getElementById('curves').layout.{axis}.type"
            assert page.evaluate(kind) == "log"
        page.select_option("#split", "train")
        title = "document.getElementById('curves').layout.yaxis.title.text"
        assert page.evaluate(title) == "train loss"

        page.uncheck("#entries input[value=SGDMLR_1000_R5]")
        assert len(lines(page, "curves")) == 3
        assert len(lines(page, "sensitivity")) == 2 + 1
        page.click("#none")
        assert lines(page, "curves") == []
        page.click("#all")
        page.select_option("#task", TASKS[1])
        assert len(lines(page, "curves")) == 4

        # What is chosen is in the address: it survives, and can be sent to others.
        with Page(chromium, page.url) as second:
            again = second.ready()
            assert again.input_value("#task") == TASKS[1]
            assert again.is_checked("#logx")
            assert again.input_value("#split") == "train"

        # On a point in the middle of a line.
        x, y = page.evaluate(
            """() => {
              const chart = document.getElementById("curves");
              chart.scrollIntoView();
              const { xaxis, yaxis, _size } = chart._fullLayout;
              const line = chart.data.filter((t) => t.name)[0];
              const i = Math.floor(line.x.length / 2);
              const box = chart.getBoundingClientRect();
              return [box.x + _size.l + xaxis.c2p(line.x[i]),
                      box.y + _size.t + yaxis.c2p(line.y[i])];
            }"""
        )
        page.mouse.move(x - 5, y)
        page.mouse.move(x, y)
        page.wait_for_selector("#curves .hoverlayer .hovertext")


def texts(page, chart, element):
    """What a chart writes, on screen."""
    return page.locator(f"#{chart} {element}").all_text_contents()


def test_short_names_stand_where_lines_end_and_fit(chromium, tmp_path):
    tasks = (*TASKS, "ThirdTask")
    names, *_ = [write_three(task, noise=0.01) for task in tasks]
    url = Path(build_report(tasks, names, str(tmp_path / "three"))).as_uri()
    size = {"width": 1100, "height": 900}
    with Page(chromium, url, viewport=size) as opened:
        page = opened.ready()
        short = ["Adam", "Lamb", "SGDM"]
        assert sorted(page.locator("#entries label").all_inner_texts()) == short
        page.wait_for_selector("#profile .annotation-text")
        for chart in ("tuning", "profile"):
            assert sorted(texts(page, chart, ".annotation-text")) == short, chart
            chart_box = page.locator(f"#{chart}").bounding_box()
            plot_box = page.locator(f"#{chart} .nsewdrag").last.bounding_box()
            right = chart_box["x"] + chart_box["width"]
            boxes = [
                text.bounding_box()
                for text in page.locator(f"#{chart} .annotation-text").all()
            ]
            for box in boxes:
                assert box["x"] + box["width"] <= right + 1
                assert box["x"] >= plot_box["x"] + plot_box["width"]
            tops = sorted((box["y"], box["y"] + box["height"]) for box in boxes)
            for (_, bottom), (top, _) in itertools.pairwise(tops):
                assert top >= bottom - 1
            assert plot_box["width"] >= 0.65 * chart_box["width"]


def test_names_are_text_and_no_tags(chromium, tmp_path):
    sets = ["One<i>x", "Two&lt;y"]
    for task in TASKS:
        for name, best in zip(sets, (0.2, 0.3), strict=True):
            ends = best + 0.01 * np.arange(15.0).reshape(3, 5)
            write_archive(task, name, ends, facts=FACTS, seeds=range(5))
    url = Path(build_report(TASKS, sets, str(tmp_path / "tags"))).as_uri()
    with Page(chromium, url, viewport={"width": 1100, "height": 900}) as opened:
        page = opened.ready()
        page.wait_for_selector("#tuning .annotation-text")
        assert sorted(texts(page, "tuning", ".annotation-text")) == sets
        assert sorted(texts(page, "scores", ".ytick text")) == sets
        assert sorted(page.locator("#entries label").all_inner_texts()) == sets


def test_a_search_is_shown_over_two_hyperparameters(chromium, tmp_path):
    pairs = [(rate, beta) for rate in (0.001, 0.01, 0.1) for beta in (0.8, 0.9)]
    ends = np.repeat(0.1 * np.arange(1.0, len(pairs) + 1)[:, None], 5, axis=1)
    losses = curves_to(ends)
    shape = losses.shape
    rows = [gin_text("Opt", learning_rate=rate, beta1=beta) for rate, beta in pairs]
    names = [f"Opt_{i}" for i in range(len(pairs))]
    arrays = {
        "eval/xs": np.broadcast_to(np.arange(shape[2]), shape),
        "opt_name": np.broadcast_to(np.asarray(names)[:, None], shape[:2]),
        "gin_operative_config": np.broadcast_to(np.asarray(rows)[:, None], shape[:2]),
    }
    arrays |= {f"eval/{split}/loss": losses for split in SPLITS}
    utils.write_archive("T", "Search", arrays)
    url = Path(build_report(["T"], ["Search"], str(tmp_path / "search"))).as_uri()
    with Page(chromium, url) as opened:
        page = opened.ready()
        [drawn] = page.evaluate(
            "[...document.querySelectorAll('#searches .chart')].map((chart) => ["
            "chart.data, chart.layout.xaxis.title.text, chart.layout.yaxis.title.text])"
        )
        data, across, up = drawn
        assert (across, up) == ("learning rate", "beta1")
        assert sorted(zip(data[0]["x"], data[0]["y"], strict=True)) == pairs
        star = data[-1]
        assert (star["x"], star["y"]) == ([1e-3], [0.8])


def test_a_wide_table_says_that_it_scrolls(chromium, report):
    phone = {"width": 360, "height": 740}
    with Page(chromium, report, viewport=phone, is_mobile=True) as opened:
        page = opened.ready()
        hint = page.locator("#tables .more").first
        assert hint.inner_text() == "more columns →"
        page.evaluate("document.querySelector('#tables .scroll').scrollLeft = 1e6")
        page.wait_for_selector("#tables .more.seen", state="attached")
        assert not hint.is_visible()


def test_values_are_those_of_the_archive(chromium, report):
    with Page(chromium, report) as opened:
        page = opened.ready()
        page.select_option("#smoothing", "0")
        for name, ys in lines(page, "curves"):
            if name.startswith("Broken"):
                # It had its initial loss five times, and ends there.
                assert set(ys) == {2}
                continue
            # All begin where the archive says.
            assert ys[0] == pytest.approx(curves_to([[0.5]])[0, 0, 0], abs=0.05)


def test_tables_sort_and_files_download(chromium, report, tmp_path):
    with Page(chromium, report) as opened:
        page = opened.ready()
        table = page.locator("#tables table").first
        names = lambda: table.locator("tbody th").all_inner_texts()  # noqa: E731
        before = names()
        table.locator("thead button", has_text="set").first.click()
        assert names() == sorted(before)
        table.locator("thead button", has_text="updates to target").click()
        assert names()[-1] == "Broken"
        assert table.locator("th[aria-sort=ascending]").count() == 1
        for name in ("tasks.csv", "results.json", "table.tex"):
            with page.expect_download() as download:
                page.click(f"button[data-name='{name}']")
            got = Path(download.value.path()).read_text()
            assert got == (tmp_path / "report" / name).read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_in_light_and_dark(chromium, report, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Page(chromium, report, color_scheme=scheme) as opened:
        page = opened.ready()
        assert page.get_attribute("html", "data-theme") == scheme
        checked = axe.run(page)
        assert checked.violations_count == 0, checked.generate_report()
        page.click("#theme")
        assert page.get_attribute("html", "data-theme") != scheme
        checked = axe.run(page)
        assert checked.violations_count == 0, checked.generate_report()


def test_keyboard_reaches_every_control(chromium, report):
    with Page(chromium, report) as opened:
        page = opened.ready()
        reached = set()
        for _ in range(120):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate(
                    "(document.activeElement.id || document.activeElement.value"
                    " || document.activeElement.textContent).trim()"
                )
            )
        wanted = {"task", "split", "smoothing", "logx", "logy", "bands", "theme"}
        assert wanted | {"all", "none", "Broken", "tasks.csv"} <= reached
        page.focus("#logx")
        page.keyboard.press("Space")
        assert page.is_checked("#logx")


def test_on_a_phone(chromium, report):
    phone = {"width": 360, "height": 740}
    with Page(chromium, report, viewport=phone, is_mobile=True) as opened:
        page = opened.ready()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.locator("#curves").bounding_box()["width"] <= 360
        size = "parseFloat(getComputedStyle(document.querySelector('.lead')).fontSize)"
        assert page.evaluate(size) >= 16


def test_without_javascript_the_verdict_is_there(chromium, report):
    with Page(chromium, report, java_script_enabled=False) as opened:
        text = opened.page.inner_text("main")
        assert "SGDMLR_1000_R5 comes first" in text
        assert "The charts need JavaScript" in text


@pytest.mark.parametrize("width", [360, 1100])
def test_what_is_left_out_is_shown(chromium, sets, tmp_path, width):
    faults.inject("cut off", TASKS[0], sets[1])
    faults.inject("newer", TASKS[0], sets[2])
    for name in sets:
        faults.inject("everything inf", TASKS[1], name)
    url = Path(build_report(TASKS, sets, str(tmp_path / "faulty"))).as_uri()
    size = {"width": width, "height": 740}
    with Page(chromium, url, viewport=size) as opened:
        page = opened.ready()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        listed = page.inner_text("#left-out")
        for name in sets[1:3]:
            assert f"{name} on {TASKS[0]}: cannot read" in listed
            assert f"{name} on {TASKS[0]}" in page.inner_text("#absent")
            assert f"{name} on {TASKS[0]}" in page.inner_text("#tables")
        assert f"scores and times to the target on {TASKS[1]}" in listed
        assert len(lines(page, "curves")) == 2
        page.select_option("#task", TASKS[1])
        assert "scores and times" in page.inner_text("#absent")
        assert len(lines(page, "curves")) == 4


def test_served_page_comes_anew(chromium, small_set):
    live = LiveReport([files.TASK], [small_set])
    live.look()
    server = make_server(live, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        with Page(chromium, url) as opened:
            assert "Waiting for the first" in opened.page.inner_text("h1")
            files.write_set(small_set)
            live.look()
            page = opened.ready()
            assert "comes first" in page.inner_text("#verdict")
            # All of it works within what the server lets a page do.
            assert page.locator("#curves svg.main-svg").count() > 0
            with page.expect_download():
                page.click("button[data-name='tasks.csv']")
    finally:
        server.shutdown()
        server.server_close()
