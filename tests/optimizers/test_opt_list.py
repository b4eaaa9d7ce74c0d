"""OptList: its file, wherever it comes from, and its steps."""

import json
import math
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import DataNotFoundError, LoptError
from learned_optimization.optimizers import opt_list
from learned_optimization.optimizers.opt_list import OptList, load_opt_list

NUM_STEPS = 40
CURVATURE = np.array([0.3, 1.0, 3.0])


def _rate(row: dict[str, Any], step: int) -> float:
    # Metz et al. 2020, appendix: up from zero, constant, half a cosine down.
    warmup = NUM_STEPS * min(row["warmup_fraction"], row["constant_fraction"])
    if step < warmup:
        return row["learning_rate"] * step / max(warmup, 1.0)
    constant = NUM_STEPS * row["constant_fraction"]
    progress = max(min(step, NUM_STEPS) - constant, 0) / max(NUM_STEPS - constant, 1)
    low = row["min_learning_rate_mult"]
    return row["learning_rate"] * (
        low + (1 - low) * math.cos(math.pi * progress / 2) ** 2
    )


def _reference(row: dict[str, Any], p: np.ndarray, num_updates: int) -> np.ndarray:
    """NAdamW in float64, as the list's own program steps."""
    m = v = np.zeros_like(p)
    curve = []
    b1, b2 = row["beta1"], row["beta2"]
    for step in range(num_updates):
        # The list was found with this sign.
        g = CURVATURE * p - row["l2_weight_decay"] * p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        t = step + 1
        rate = _rate(row, step) * math.sqrt(1 - b2**t) / (1 - b1**t)
        ahead = b1 * m + (1 - b1) * g if row["use_nesterov"] else m
        p = p - rate * ahead / (np.sqrt(v) + row["epsilon"])
        # Decayed before the step, by the same rate.
        p = p - rate * row["adamw_weight_decay"] * (curve[-1] if curve else START)
        curve.append(p)
    return np.array(curve)


START = np.array([1.0, -2.0, 0.5])


# All forms of warm-up, l2, Nesterov and minimum that the made-up list has.
@pytest.mark.parametrize("idx", [0, 1, 2, 7, 13, 999])
def test_steps_as_the_list_says(idx: int, made_up_opt_list: Path) -> None:
    row = json.loads(made_up_opt_list.read_text())[idx]
    opt = OptList(idx=idx)
    state = opt.init(jnp.float32(START), num_steps=NUM_STEPS)
    curve = []
    # A run does one update more than `num_steps`; here, some beyond.
    for _ in range(NUM_STEPS + 5):
        state = opt.update(state, jnp.float32(CURVATURE) * opt.get_params(state))
        curve.append(np.asarray(opt.get_params(state)))
    want = _reference(row, START, NUM_STEPS + 5)
    moved = np.abs(want - START).max()
    # Float32 keeps 1 - beta2 to 1e-3 where beta2 is 1 - 1e-4.
    np.testing.assert_allclose(np.array(curve), want, atol=1e-3 * moved)
    assert int(state.inner.iteration) == NUM_STEPS + 5


def test_one_program_serves_the_whole_list() -> None:
    def run(idx: jax.Array) -> jax.Array:
        opt = OptList(idx=idx)
        state = opt.init(jnp.float32(START), num_steps=NUM_STEPS)
        for _ in range(4):
            state = opt.update(state, jnp.ones(3))
        return opt.get_params(state)

    ids = (3, 500, 999)
    together = jax.jit(jax.vmap(run))(jnp.array(ids))
    for idx, got in zip(ids, together, strict=True):
        np.testing.assert_allclose(got, run(jnp.int32(idx)), rtol=1e-6)
    assert len({float(p[0]) for p in together}) == 3


@pytest.mark.parametrize("idx", [-1, 1000])
def test_there_are_a_thousand_settings(idx: int) -> None:
    with pytest.raises(LoptError, match=f"from 0 to 999, got {idx}"):
        OptList(idx=idx).prepare()


def test_another_file_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "mine.json"
    path.write_text("[]")
    monkeypatch.setenv("LOPT_OPT_LIST", str(path))
    with pytest.raises(LoptError, match=r"mine.json is not the published list.*NAdamW"):
        load_opt_list()


def test_nowhere_to_be_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("LOPT_OPT_LIST")
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOPT_OPT_LIST_URL", "http://127.0.0.1:9/opt_list.json")
    with pytest.raises(DataNotFoundError, match=r"cannot be fetched.*LOPT_OPT_LIST to"):
        OptList().prepare()
    assert not list(tmp_path.iterdir())


class _Handler(SimpleHTTPRequestHandler):
    requests: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        self.requests.append(self.command)


@pytest.fixture
def server(made_up_opt_list: Path) -> Iterator[tuple[str, list[str]]]:
    """A real web server that has the list; its address and the requests it got."""
    requests: list[str] = []
    handler = type("Handler", (_Handler,), {"requests": requests})
    serve = partial(handler, directory=str(made_up_opt_list.parent))
    httpd = HTTPServer(("127.0.0.1", 0), serve)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/{made_up_opt_list.name}", requests
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_fetched_once_and_kept(server, made_up_opt_list, tmp_path, monkeypatch) -> None:
    url, requests = server
    monkeypatch.delenv("LOPT_OPT_LIST")
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOPT_OPT_LIST_URL", url)
    fetched = load_opt_list()
    assert requests
    kept = tmp_path / "opt_list.json"
    assert kept.read_bytes() == made_up_opt_list.read_bytes()
    requests.clear()
    opt_list._read.cache_clear()
    assert all(np.array_equal(fetched[k], v) for k, v in load_opt_list().items())
    assert not requests


def test_wrong_content_is_not_kept(server, tmp_path, monkeypatch) -> None:
    url, _ = server
    monkeypatch.delenv("LOPT_OPT_LIST")
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOPT_OPT_LIST_URL", url)
    monkeypatch.setattr(opt_list, "SHA256", "0" * 64)
    with pytest.raises(LoptError, match="not the published list"):
        load_opt_list()
    assert not list(tmp_path.iterdir())


PUBLISHED = Path(__file__).parents[3] / "shared" / "reference" / "opt_list.json"


def test_the_published_list(monkeypatch) -> None:
    monkeypatch.undo()
    path = os.environ.get("LOPT_OPT_LIST") or PUBLISHED
    if not os.path.exists(path):
        pytest.skip(
            f"THE PUBLISHED OPTLIST IS NOT AT HAND: neither LOPT_OPT_LIST nor {path}; "
            "it is not ours to distribute"
        )
    monkeypatch.setenv("LOPT_OPT_LIST", str(path))
    table = load_opt_list()
    assert {len(values) for values in table.values()} == {1000}
    assert table["use_nesterov"].sum() == 502
    assert (table["l2_weight_decay"] != 0).sum() == 641
    first = {k: float(v[0]) for k, v in table.items()}
    assert first["learning_rate"] == pytest.approx(0.0011948335721160095)
    assert first["constant_fraction"] == pytest.approx(0.747304046223346)
    OptList(idx=999).prepare()
