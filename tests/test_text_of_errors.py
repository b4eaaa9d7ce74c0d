"""No error is shown without a word: its type and place stand for what it lacks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest

from learned_optimization.baselines.results import run_notes
from learned_optimization.baselines.sets.files import import_file
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.cli.advice import with_advice
from learned_optimization.errors import BackendError, LoptError
from learned_optimization.text import named, said
from learned_optimization.training import backend
from tests.tiny import TinyTask, tiny_set

SILENT = (
    AssertionError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    StopIteration,
    TimeoutError,
    LoptError,
)


def caught(raising: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011
        raising()
    return error.value


@pytest.mark.parametrize("kind", SILENT)
@pytest.mark.parametrize("text", [(), ("",), (" \n",)])
def test_what_says_nothing_is_shown_by_type_and_place(
    kind: type[Exception], text: tuple[str, ...]
) -> None:
    def fail() -> None:
        raise kind(*text)

    error = caught(fail)
    if kind is KeyError and text:
        # It shows the key that is missing.
        assert said(error) == repr(text[0])
        return
    assert __file__ in said(error)
    assert said(error).startswith(f"{kind.__name__} at ")
    assert named(error) == said(error)
    if isinstance(error, LoptError):
        assert with_advice(error) == said(error)
    assert said(kind()) == kind.__name__


def test_what_says_something_is_shown_with_its_type() -> None:
    assert named(KeyError("lr")) == "KeyError: 'lr'"
    assert said(RuntimeError("no room")) == "no room"


@pytest.mark.parametrize("kind", SILENT[:-1])
def test_a_users_file_that_fails_without_a_word(
    kind: type[Exception], tmp_path: Path
) -> None:
    file = tmp_path / f"fails_{kind.__name__}.py"
    file.write_text(f"x = 1\nraise {kind.__name__}\n")
    with pytest.raises(LoptError, match=rf"line 2: {kind.__name__}\b"):
        import_file(file)


def test_a_trial_that_fails_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(*args: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(TinyTask, "loss", loss)
    summary = run_sweep(["TinyRegression"], [tiny_set()])
    [failure] = summary.failures
    assert failure.startswith("SGD: AssertionError at ")
    assert Path(__file__).name in failure
    [note] = run_notes.read_all()
    assert note.reason.startswith("AssertionError at ")


@pytest.mark.parametrize("error", [RuntimeError("no plugin"), AssertionError()])
def test_a_backend_that_cannot_start_is_no_failure_of_a_trial(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setenv("JAX_PLATFORMS", "bogus")
    monkeypatch.setattr(jax, "local_devices", fail)
    said_so = r"cannot start.*(no plugin|AssertionError).*JAX_PLATFORMS .*'bogus'"
    with pytest.raises(BackendError, match=said_so):
        run_sweep(["TinyRegression"], [tiny_set()])
    assert not run_notes.read_all()
    with pytest.raises(BackendError):
        backend.local_devices()
