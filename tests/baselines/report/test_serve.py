"""A report that follows a sweep: whole sets only, again when results change."""

import dataclasses
import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.report import serve
from learned_optimization.baselines.report.serve import LiveReport, make_server, watch
from learned_optimization.baselines.results import archiving
from learned_optimization.errors import LoptError
from tests.baselines import files

TASK = files.TASK


@contextmanager
def served(live):
    server = make_server(live, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host, port = server.server_address[:2]

    def get(path):
        with urllib.request.urlopen(f"http://{host}:{port}/{path}") as answer:
            return answer.headers.get_content_type(), answer.read().decode()

    try:
        yield get, port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_follows_a_sweep(small_set):
    live = LiveReport([TASK], [small_set])
    with served(live) as (get, port):
        assert live.look()
        assert not live.look()
        kind, page = get("")
        assert kind == "text/html"
        assert f"{small_set.name} on {TASK}: 0 of" in page
        first = get("version")[1]

        [*some, last] = [
            (name, seed)
            for name in small_set.opt_names
            for seed in range(small_set.repetitions)
        ]
        for name, seed in some:
            files.write(name, seed, num_steps=small_set.num_steps)
        # Nothing more can be compared, but how far it is is said.
        assert not live.look()
        kind, lines = get("progress")
        assert kind == "application/json"
        done = f"{len(some)} of {small_set.num_trials} trials done"
        assert json.loads(lines) == [f"{small_set.name} on {TASK}: {done}"]
        assert done in get("")[1]

        files.write(*last, num_steps=small_set.num_steps)
        assert live.look()
        version = get("version")[1]
        assert version != first
        assert json.loads(get("progress")[1]) == []
        kind, page = get("index.html")
        assert '<h2 id="verdict-title">' in page
        assert f'data-version="{version}"' in page
        assert get("tasks.csv")[0] == "text/csv"
        assert get("results.json")[0] == "application/json"
        for wrong in ("../secret", "nothing.html", "etc/passwd"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(wrong)
        with pytest.raises(LoptError, match=f"cannot listen at 127.0.0.1:{port}"):
            make_server(live, port)


def test_what_goes_wrong_is_said_once_and_leaves_the_last_report(
    small_set, monkeypatch
):
    said = []
    live = LiveReport([TASK], [small_set], on_error=said.append)
    files.write_set(small_set)
    assert live.look()
    before = live.files

    def fail(*args):
        raise FileNotFoundError("moved")

    monkeypatch.setattr(serve, "status_of", fail)
    assert not live.look()
    assert not live.look()
    assert live.files is before
    assert said == ["moved"]


def test_a_damaged_archive_does_not_hide_other_sets(small_set):
    said = []
    other = dataclasses.replace(small_set, name="Other_20_R3")
    files.write_set(small_set)
    archiving.archive(TASK, small_set)
    path = Path(utils.get_baseline_archive_path(TASK, other.name))
    path.write_bytes(b"no archive")
    live = LiveReport([TASK], [small_set, other], on_error=said.append)
    assert live.look()
    assert '<h2 id="verdict-title">' in live.files["index.html"]
    assert len(said) == 1
    assert str(path) in said[0]
    assert str(path) in json.loads(live.files["progress"])[0]


def test_an_archive_written_anew_is_noticed(small_set):
    live = LiveReport([TASK], [small_set])
    files.write_set(small_set)
    archiving.archive(TASK, small_set)
    assert live.look()
    assert not live.look()
    arrays = utils.load_archive(TASK, small_set.name)
    arrays["eval/test/loss"] = arrays["eval/test/loss"] / 2
    utils.write_archive(TASK, small_set.name, arrays)
    assert live.look()


def test_refusals(small_set):
    wrongs: tuple[tuple[dict[str, Any], str], ...] = (
        ({"select": "vaild"}, "unknown evaluated split 'vaild'"),
        ({"reference": "Typo"}, "the reference Typo is none of the sets"),
    )
    for wrong, problem in wrongs:
        with pytest.raises(LoptError, match=problem):
            LiveReport([TASK], [small_set], **wrong)
    with pytest.raises(LoptError, match="at least one task"):
        LiveReport([], [small_set])
    with pytest.raises(LoptError, match="or a host that is an address"):
        make_server(LiveReport([TASK], [small_set]), 0, host="192.0.2.1")


def test_watch_stops(small_set):
    live, stop, looks = LiveReport([TASK], [small_set]), threading.Event(), []

    def look():
        looks.append(1)
        if len(looks) == 3:
            stop.set()
        return False

    live.look = look
    watch(live, 0.001, stop)
    assert len(looks) == 3


def test_other_sets_are_not_awaited(small_set):
    files.write_set(small_set)
    live = LiveReport([TASK], [small_set, get_hparam_set("AdamLR_1000_R5")])
    assert live.look()
    page = live.files["index.html"]
    assert '<h2 id="verdict-title">' in page
    assert f"AdamLR_1000_R5 on {TASK}: 0 of 70 trials done" in page


def test_tolerance_is_that_of_the_page(small_set):
    with pytest.raises(LoptError, match="tolerance"):
        LiveReport([TASK], [small_set], tolerance=-1.0)
    for name in small_set.opt_names:
        for seed in range(small_set.repetitions):
            files.write(name, seed, num_steps=small_set.num_steps)
    live = LiveReport([TASK], [small_set], tolerance=0.25)
    assert live.look()
    assert json.loads(live.files["results.json"])["tolerance"] == 0.25
