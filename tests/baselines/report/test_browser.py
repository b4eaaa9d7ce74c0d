"""The report in a real browser: it works, on a phone too, and is accessible."""

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines.report import build_report
from learned_optimization.baselines.report.serve import LiveReport, make_server
from tests.baselines import faults, files
from tests.baselines.archives import FACTS, curves_to, write_archive, write_three

pytestmark = pytest.mark.slow
TASKS = ("FirstTask", "SecondTask")


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
        for chart in ("scores", "curves", "sensitivity", "tuning", "profile"):
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

        box = page.locator(
            "#curves .plotly .bglayer, #curves .nsewdrag"
        ).last.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for share in np.linspace(0.05, 0.95, 40):
            page.mouse.move(
                box["x"] + box["width"] / 2, box["y"] + share * box["height"]
            )
            if page.locator("#curves .hoverlayer .hovertext").count():
                break
        assert page.locator("#curves .hoverlayer .hovertext").count() > 0


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
