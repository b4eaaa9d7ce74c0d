"""A report that follows a sweep: whole sets only, anew when results change."""

import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from learned_optimization.baselines import archiving
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.report.serve import LiveReport, make_server, watch
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
        assert live.look()
        assert f"{len(some)} of {small_set.num_trials} trials done" in get("")[1]
        assert get("version")[1] != first

        files.write(*last, num_steps=small_set.num_steps)
        assert live.look()
        kind, page = get("index.html")
        assert '<h2 id="verdict-title">' in page
        assert 'data-live="yes"' in page
        assert get("tasks.csv")[0] == "text/csv"
        assert get("results.json")[0] == "application/json"
        for wrong in ("../secret", "nothing.html", "etc/passwd"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(wrong)
        with pytest.raises(LoptError, match=f"cannot listen at 127.0.0.1:{port}"):
            make_server(live, port)


def test_what_is_damaged_leaves_the_last_report(small_set):
    said = []
    live = LiveReport([TASK], [small_set], on_error=said.append)
    paths = files.write_set(small_set)
    live.look()
    archiving.archive(TASK, small_set)
    before = live.files
    live._select = "nothing"
    assert not live.look()
    assert live.files is before
    assert "unknown evaluated split 'nothing'" in said[0]
    assert paths


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
