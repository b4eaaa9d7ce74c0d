"""Published files of normalizers: fetched over http, kept whole, checked on use."""

import functools
import hashlib
import http.server
import json
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.baselines import normalizers
from learned_optimization.baselines.speedups.fetch import fetch
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    ResultError,
    UnknownNameError,
)
from tests.cli.running import lopt_here

NAME = "speedup_over_adam"
TASK = "ImageMLP_FashionMnist8_Relu32"
STEPS = np.linspace(0.0, 100_000.0, 512)
# Falls fast, then hardly, and stands still at its end.
LOSSES = np.minimum.accumulate(np.maximum(2.3 / (1.0 + STEPS / 500.0), 0.05))


def as_published(**tasks: Any) -> bytes:
    """Return a file in the published form: a space behind commas, no newline."""
    lines = (f'"{task}":{json.dumps(pair)}' for task, pair in tasks.items())
    return ("{\n" + ",\n".join(lines) + "\n}").encode()


PAIR = [STEPS.tolist(), LOSSES.tolist()]
CONTENT = as_published(**{TASK: PAIR, "Other": PAIR})


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Return a folder served over http, and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def published(site: tuple[Path, str]) -> str:
    folder, address = site
    (folder / f"{NAME}.json").write_bytes(CONTENT)
    return address


def kept(tmp_path: Path) -> Path:
    return tmp_path / "data" / "normalizers" / f"{NAME}.json"


def test_fetched_file_is_found_and_whole(published: str, tmp_path: Path) -> None:
    fetched = fetch(NAME, published)
    assert kept(tmp_path).read_bytes() == CONTENT
    assert fetched.path == str(kept(tmp_path))
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert fetched.num_bytes == len(CONTENT)
    maps = normalizers.speedup_over_adam_normalizer_map()
    assert list(maps) == sorted([TASK, "Other"])
    info = json.loads(kept(tmp_path).with_suffix(".info.json").read_text())
    assert info[TASK]["fetched_from"] == f"{published}/{NAME}.json"
    assert info[TASK]["sha256"] == fetched.sha256


def test_maps_read_an_address(published: str) -> None:
    address = f"{published}/{NAME}.json"
    maps = normalizers.speedup_over_adam_normalizer_map(address)
    assert float(maps[TASK](0.5)) == pytest.approx(1800.0, abs=15.0)


@pytest.mark.parametrize("own", [True, False])
def test_own_folder(
    own: bool, published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if own:
        monkeypatch.setenv("LOPT_NORMALIZERS_DIR", str(tmp_path / "own"))
    fetch(NAME, published)
    assert (tmp_path / "own" / f"{NAME}.json").exists() == own
    assert kept(tmp_path).exists() != own


def test_a_later_change_is_noticed(published: str, tmp_path: Path) -> None:
    fetch(NAME, published)
    lower = [STEPS.tolist(), (0.9 * LOSSES).tolist()]
    kept(tmp_path).write_bytes(as_published(**{TASK: lower, "Other": PAIR}))
    with pytest.raises(DamagedFileError, match="of another curve"):
        normalizers.speedup_over_adam_normalizer_map()


def test_digest(published: str, site: tuple[Path, str], tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(ResultError, match=f"its sha256 is {digest}"):
        fetch(NAME, published, sha256="00" * 32)
    assert not kept(tmp_path).exists()
    fetch(NAME, published, sha256=digest.upper())
    fetch(NAME, published)
    other = as_published(**{TASK: PAIR})
    (site[0] / f"{NAME}.json").write_bytes(other)
    new = hashlib.sha256(other).hexdigest()
    with pytest.raises(LoptError, match=f"sha256={new}"):
        fetch(NAME, published)
    assert kept(tmp_path).read_bytes() == CONTENT
    fetch(NAME, published, sha256=new)
    assert list(normalizers.speedup_over_adam_normalizer_map()) == [TASK]


SHORT = [STEPS[:100].tolist(), LOSSES[:100].tolist()]
TOO_LONG = [(3 * STEPS).tolist(), LOSSES.tolist()]
TOO_FINE = [np.linspace(0, 1e5, 2048).tolist(), np.linspace(2, 1, 2048).tolist()]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"<html>not found</html>", "no JSON"),
        (b"[1, 2]", "map tasks"),
        (b"{}", "no tasks"),
        (as_published(T=[1, 2, 3]), "'T'.*not \\[steps, losses\\]"),
        (as_published(T=[[0, 1], [1, 2]]), "'T'.*never rise"),
        (as_published(T=TOO_LONG), "'T'.*up to step 300,000"),
        (as_published(T=TOO_FINE), "'T'.*2048 points"),
    ],
)
def test_what_is_no_such_file_is_refused(
    content: bytes, match: str, site: tuple[Path, str], tmp_path: Path
) -> None:
    (site[0] / f"{NAME}.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=match):
        fetch(NAME, site[1])
    assert not kept(tmp_path).parent.exists()


def test_a_curve_may_end_early(site: tuple[Path, str]) -> None:
    losses = [*LOSSES[:100].tolist(), *[float("nan")] * 412]
    content = as_published(T=[STEPS.tolist(), losses], S=SHORT)
    (site[0] / f"{NAME}.json").write_bytes(content)
    fetch(NAME, site[1])
    maps = normalizers.speedup_over_adam_normalizer_map()
    assert maps["T"].horizon == maps["S"].horizon == STEPS[99]


def test_what_is_nowhere(site: tuple[Path, str]) -> None:
    with pytest.raises(ResultError, match=f"no such file: {site[1]}/{NAME}.json"):
        fetch(NAME, site[1])
    with pytest.raises(UnknownNameError, match="speedup_over_adam_v2"):
        fetch("speedup_over_adam_2", site[1])


def test_shorter_one_stands_in_and_says_so(published: str) -> None:
    with pytest.warns(UserWarning, match=r"no more than 10,000.*fetch\.fetch"):
        maps = normalizers.speedup_over_adam_normalizer_map()
    assert maps[TASK].horizon == 10_000
    with pytest.raises(ResultError, match="there is no speedup_over_multiple"):
        normalizers.speedup_over_multiple_baselines_map()
    fetch(NAME, published)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = normalizers.speedup_over_adam_normalizer_map()
    assert maps[TASK].horizon == 100_000


class _Refusing(fsspec.AbstractFileSystem):
    """A store that is there, and lets nobody in."""

    def exists(self, path: str, **kwargs: Any) -> bool:
        raise PermissionError(f"403 Forbidden: {path}")


def test_an_own_folder_out_of_reach_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not one of a shorter horizon in place of what may well be there."""
    fsspec.register_implementation("refusing", _Refusing, clobber=True)
    monkeypatch.setenv("LOPT_NORMALIZERS_DIR", "refusing://bucket/normalizers")
    with pytest.raises(ResultError, match=r"refusing://bucket/normalizers.*403"):
        normalizers.speedup_over_adam_normalizer_map()
    # A folder that can be reached and does not have it: the shorter one stands in.
    monkeypatch.setenv("LOPT_NORMALIZERS_DIR", str(tmp_path / "empty"))
    with pytest.warns(UserWarning, match="speedup_over_adam is not there"):
        normalizers.speedup_over_adam_normalizer_map()


def test_losses_map_as_published(published: str) -> None:
    """Inverse interpolation in float64, by numpy; what is not finite becomes 0."""
    fetch(NAME, published)
    to_steps = normalizers.speedup_over_adam_normalizer_map()[TASK]
    lowest, first = LOSSES[-1], LOSSES[0]
    losses = np.concatenate(
        [
            np.linspace(lowest * 1.001, first, 1000),
            [-3.0, 0.0, 0.9 * lowest, first, 1.1 * first, 1e30, np.nan, np.inf],
        ]
    )
    want = np.interp(losses, LOSSES[::-1], STEPS[::-1])
    want = np.where(np.isfinite(want) & np.isfinite(losses), want, 0.0)
    assert want[-8:].tolist() == [1e5, 1e5, 1e5, 0, 0, 0, 0, 0]
    # A float32 loss is known to 6e-8 of itself, and where the curve is flat that is
    # many steps.
    slope = np.abs(np.gradient(STEPS, LOSSES - 1e-12 * STEPS))
    allowed = 2e-7 * np.interp(losses, LOSSES[::-1], (slope * LOSSES)[::-1]) + 0.05
    got = np.asarray(to_steps(jnp.asarray(losses)))
    assert (np.abs(got - want) <= np.where(np.isfinite(losses), allowed, 0)).all()
    # The one difference: published maps take -inf for the lowest loss of all.
    assert float(to_steps(-np.inf)) == 0.0
    assert np.interp(-np.inf, LOSSES[::-1], STEPS[::-1]) == 100_000


def test_command(published: str, tmp_path: Path) -> None:
    done = lopt_here("normalize", "fetch", NAME, "--from", published)
    assert (done.returncode, done.stderr) == (0, "")
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert done.stdout.splitlines() == [
        f"{NAME}: 2 tasks, {len(CONTENT):,} bytes, sha256 {digest}, "
        f"kept at {kept(tmp_path)}"
    ]
    shown = lopt_here("normalize", "show", NAME, TASK)
    assert shown.returncode == 0, shown.stderr
    assert "100,000" in shown.stdout
    two = ["normalize", "fetch", NAME, f"{NAME}_v2", "--sha256", digest]
    assert lopt_here(*two).returncode == 2
