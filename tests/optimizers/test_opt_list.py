"""OptList: the settings of a list, and how the list is found, fetched and checked."""

import hashlib
import json
import math
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import DataNotFoundError, LoptError
from learned_optimization.optimizers import opt_list
from learned_optimization.optimizers.opt_list import OptList
from tests.optimizers import reference_recent as recent
from tests.optimizers import stepping

# Before a fixture sets them to those of a made-up list.
PUBLISHED_SHA256 = opt_list.SHA256
PUBLISHED = Path(
    os.environ.get("LOPT_OPT_LIST")
    or Path(__file__).resolve().parents[3] / "shared" / "reference" / "opt_list.json"
)
NUM_STEPS = 40
# Rounding in float32, as in test_optax_opts.py, and that of `1 - beta2^t`, whose
# relative error at the first step is 6e-8 / (1 - beta2).
TOLERANCE = 3e-5

PLAIN = {
    "learning_rate": 0.05,
    "beta1": 0.8,
    "beta2": 0.98,
    "epsilon": 1e-3,
    "adamw_weight_decay": 0.0,
    "l2_weight_decay": 0.0,
    "use_nesterov": True,
    "warmup_fraction": 0.2,
    "constant_fraction": 0.5,
    "min_learning_rate_mult": 0.1,
}
CASES: dict[int, dict[str, Any]] = {
    0: {},
    # The constant stretch ends before the warm-up is over.
    1: {"warmup_fraction": 0.7, "constant_fraction": 0.3},
    2: {"warmup_fraction": 0.0, "min_learning_rate_mult": 0.0},
    499: {"l2_weight_decay": 0.3, "use_nesterov": False},
    998: {"adamw_weight_decay": 0.5, "epsilon": 0.1, "beta1": 0.5},
    999: {
        "learning_rate": 0.2,
        "l2_weight_decay": 0.1,
        "adamw_weight_decay": 0.2,
        "beta2": 0.9,
        "constant_fraction": 0.0,
    },
}


@pytest.fixture
def write_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Path]]:
    """Write the list of `CASES` to where it is looked for, as the right one."""
    path = tmp_path / "list.json"
    rows = [{**PLAIN, **CASES.get(i, {})} for i in range(1000)]
    content = json.dumps(rows).encode()
    monkeypatch.setenv("LOPT_OPT_LIST", str(path))
    monkeypatch.setenv("LOPT_OPT_LIST_URL", (tmp_path / "nowhere").as_uri())
    monkeypatch.setattr(opt_list, "SHA256", hashlib.sha256(content).hexdigest())

    def write() -> Path:
        path.write_bytes(content)
        return path

    opt_list._read.cache_clear()
    yield write
    opt_list._read.cache_clear()


def _rate(row: dict[str, Any], step: int) -> float:
    """Up from zero, half a cosine down, and no further.

    A warm-up takes the constant stretch too, and where it is longer the cosine has
    begun when it ends.
    """
    step = min(step, NUM_STEPS)
    constant = row["constant_fraction"] * NUM_STEPS
    warmup = max(row["warmup_fraction"], row["constant_fraction"]) * NUM_STEPS
    if row["warmup_fraction"] > 0 and step < warmup:
        return row["learning_rate"] * step / warmup
    progress = max(step - constant, 0) / (NUM_STEPS - constant)
    left = math.cos(math.pi * progress / 2) ** 2
    least = row["min_learning_rate_mult"]
    return row["learning_rate"] * (least + (1 - least) * left)


@pytest.mark.parametrize("idx", [*CASES, 7])
def test_steps_as_the_setting_says(idx: int, write_list: Callable[[], Path]) -> None:
    write_list()
    row = {**PLAIN, **CASES.get(idx, {})}
    problem = stepping.problem((4, 3))
    state, got, _ = stepping.train(OptList(idx=idx), *problem, num_steps=NUM_STEPS)
    want = stepping.train_reference(
        stepping.on_each_array(recent.nadamw),
        SimpleNamespace(**row),
        problem,
        lambda step: _rate(row, step),
    )
    assert stepping.largest_error(got, want, problem[0]) < TOLERANCE
    assert stepping.STEPS > NUM_STEPS
    assert int(state.iteration) == stepping.STEPS
    assert int(state.num_steps) == NUM_STEPS


def test_one_program_runs_many_settings(write_list: Callable[[], Path]) -> None:
    write_list()
    problem = stepping.problem((4, 3))
    run = jax.jit(
        jax.vmap(lambda idx: stepping.train(OptList(idx=idx), *problem)[1]["weights"])
    )
    together = run(np.array([*CASES]))
    for got, idx in zip(together, CASES, strict=True):
        alone = stepping.train(OptList(idx=idx), *problem)[1]["weights"]
        np.testing.assert_allclose(got, alone, rtol=0, atol=2e-5)


def test_moments_keep_the_type_of_the_parameters(
    write_list: Callable[[], Path],
) -> None:
    write_list()
    params = {"half": jnp.ones(3, jnp.bfloat16), "whole": jnp.ones(2, jnp.float32)}
    state = OptList(idx=998).init(params, num_steps=NUM_STEPS)
    state = OptList(idx=998).update(state, jax.tree.map(lambda p: 0.3 * p, params))
    for tree in (state.params, state.first_moment, state.second_moment):
        assert jax.tree.map(lambda x: x.dtype, tree) == {
            "half": jnp.bfloat16,
            "whole": jnp.float32,
        }
    # What is kept is rounded, the step is not.
    row = {**PLAIN, **CASES[998]}
    half = float(jnp.bfloat16(0.3))
    want = (1 - row["beta1"]) * half
    assert float(state.first_moment["half"][0]) == float(jnp.bfloat16(want))


def test_the_run_length_is_needed(write_list: Callable[[], Path]) -> None:
    write_list()
    assert OptList().needs == {"num_steps"}
    with pytest.raises(LoptError, match="OptList needs the length of the run: pass "):
        OptList().init({"p": np.zeros(3, np.float32)})


@pytest.mark.parametrize("idx", [-1, 1000])
def test_an_index_outside_the_list_is_refused(
    idx: int, write_list: Callable[[], Path]
) -> None:
    write_list()
    with pytest.raises(LoptError, match=rf"number from 0 to 999, got {idx}"):
        OptList(idx=idx).prepare()
    for good in (0, 999):
        OptList(idx=good).prepare()


def test_another_list_is_refused(write_list: Callable[[], Path]) -> None:
    path = write_list()
    path.write_bytes(path.read_bytes() + b"\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(LoptError, match="is not the published list") as caught:
        OptList().prepare()
    for told in (str(path), digest, opt_list.SHA256, "NAdamW"):
        assert told in str(caught.value)


def test_a_list_that_is_nowhere_is_asked_for(
    write_list: Callable[[], Path], tmp_path: Path
) -> None:
    with pytest.raises(DataNotFoundError, match="cannot be fetched") as caught:
        OptList().prepare()
    for told in (
        str(tmp_path / "list.json"),
        (tmp_path / "nowhere").as_uri(),
        "LOPT_OPT_LIST",
        "LOPT_OPT_LIST_URL",
        "opt_list.json",
    ):
        assert told in str(caught.value)
    # What failed once may be mended while the program runs.
    write_list()
    OptList().prepare()


def test_looked_for_among_the_data(
    write_list: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "some" / "data"
    folder.mkdir(parents=True)
    write_list().rename(folder / "opt_list.json")
    monkeypatch.delenv("LOPT_OPT_LIST")
    monkeypatch.setenv("LOPT_DATA_DIR", str(folder))
    assert opt_list.load_opt_list()["beta1"].shape == (1000,)


def test_values_keep_their_order_and_kind(write_list: Callable[[], Path]) -> None:
    write_list()
    table = opt_list.load_opt_list()
    assert set(table) == set(PLAIN) == set(opt_list.KEYS)
    for key, values in table.items():
        assert values.dtype == (bool if key == "use_nesterov" else np.float32)
        for idx in (*CASES, 7):
            want = {**PLAIN, **CASES.get(idx, {})}[key]
            assert values[idx] == values.dtype.type(want)


class _Handler(BaseHTTPRequestHandler):
    """Serves `content`, and says it is `missing` bytes longer than it is."""

    content: ClassVar[bytes] = b""
    missing: ClassVar[int] = 0
    status: ClassVar[int] = 200
    requests: ClassVar[list[str]] = []

    def _headers(self) -> None:
        self.requests.append(self.command)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.content) + self.missing))
        self.end_headers()

    def do_HEAD(self) -> None:
        self._headers()

    def do_GET(self) -> None:
        self._headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(
    write_list: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[_Handler]]:
    """Return a server of the list, which is asked for it."""
    path = write_list()
    content = path.read_bytes()
    path.unlink()

    class Handler(_Handler):
        requests: ClassVar[list[str]] = []

    Handler.content = content
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}/opt_list.json"
        monkeypatch.setenv("LOPT_OPT_LIST_URL", address)
        yield Handler
        running.shutdown()
        thread.join()


def test_fetched_once_and_kept(server: type[_Handler], tmp_path: Path) -> None:
    OptList().prepare()
    assert server.requests.count("GET") == 1
    asked = len(server.requests)
    assert (tmp_path / "list.json").read_bytes() == server.content
    OptList(idx=3).prepare()
    # As another program would find it.
    opt_list._read.cache_clear()
    OptList().prepare()
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"content": b"[]"}, "is not the published list"),
        ({"missing": 1000}, "cannot be fetched"),
        ({"status": 404}, "cannot be fetched"),
    ],
)
def test_a_failed_fetch_leaves_nothing(
    change: dict[str, Any],
    error: str,
    server: type[_Handler],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        for name, value in change.items():
            patch.setattr(server, name, value)
        with pytest.raises(LoptError, match=error) as caught:
            OptList().prepare()
        assert os.environ["LOPT_OPT_LIST_URL"] in str(caught.value)
        assert [*tmp_path.glob("*list*")] == []
    # The next try is a new one.
    OptList().prepare()
    assert (tmp_path / "list.json").read_bytes() == server.content


def test_the_published_list(monkeypatch: pytest.MonkeyPatch) -> None:
    if not PUBLISHED.exists():
        pytest.skip(
            f"THE PUBLISHED LIST OF OPTLIST IS NOT CHECKED: there is no {PUBLISHED}; "
            "set LOPT_OPT_LIST to the file opt_list.json"
        )
    content = PUBLISHED.read_bytes()
    assert len(content) == 342_540
    assert hashlib.sha256(content).hexdigest() == PUBLISHED_SHA256
    monkeypatch.setattr(opt_list, "SHA256", PUBLISHED_SHA256)
    monkeypatch.setenv("LOPT_OPT_LIST", str(PUBLISHED))
    table = opt_list.load_opt_list()
    assert {values.shape for values in table.values()} == {(1000,)}
    ends = {
        "learning_rate": (0.0011948335721160095, 0.04570368188261027),
        "beta1": (0.9360043452616368, 0.9834256932004822),
        "beta2": (0.9989497406214962, 0.9997816861609249),
        "epsilon": (5.875814422073298e-06, 6.684891091418533e-06),
        "adamw_weight_decay": (0.010141964334059882, 0.0004377371683928401),
        "l2_weight_decay": (0.0, 0.0),
        "use_nesterov": (False, True),
        "warmup_fraction": (0.0, 0.0005525487323201233),
        "constant_fraction": (0.747304046223346, 0.7937974108202099),
        "min_learning_rate_mult": (0.0, 0.0),
    }
    for key, (first, last) in ends.items():
        kind = table[key].dtype.type
        assert (table[key][0], table[key][-1]) == (kind(first), kind(last))
    # The sign is the optimizer's doing.
    assert np.all(table["l2_weight_decay"] >= 0)
    assert np.count_nonzero(table["l2_weight_decay"]) == 641
