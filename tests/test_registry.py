"""`Registry`: things of one kind by name."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from learned_optimization.baselines.sets.registry import SETS
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers.base import OPTIMIZERS
from learned_optimization.registry import Registry, is_packaged
from learned_optimization.tasks.registry import TASKS

HOME = "home_of_fruit"
COUNTER = "imports.txt"


@pytest.fixture
def fruit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[str]]:
    """Return a registry whose home is a package that notes when it is imported."""
    folder = tmp_path / HOME
    folder.mkdir()
    for name in ("__init__", "stone"):
        (folder / f"{name}.py").write_text(
            f"with open({str(tmp_path / COUNTER)!r}, 'a') as file:\n"
            "    print(__name__, file=file)\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("fruit", "a fruit", HOME)
    for name in (HOME, f"{HOME}.stone"):
        sys.modules.pop(name, None)


def imports(tmp_path: Path) -> list[str]:
    path = tmp_path / COUNTER
    return path.read_text().split() if path.exists() else []


def test_what_is_added_is_returned_and_got(fruit: Registry[str]) -> None:
    assert fruit.add("pear", "a pear", "mine") == "a pear"
    assert fruit.get("pear") == "a pear"


def test_an_unknown_name_leads_to_the_nearest(fruit: Registry[str]) -> None:
    fruit.add("pear", "a pear", "mine")
    fruit.add("fig", "a fig", "mine")
    with pytest.raises(UnknownNameError) as caught:
        fruit.get("paer")
    assert str(caught.value) == "unknown fruit 'paer': did you mean pear?"


def test_the_same_origin_replaces(fruit: Registry[str]) -> None:
    fruit.add("pear", "an old pear", "mine")
    fruit.add("pear", "a new pear", "mine")
    assert fruit.all() == {"pear": "a new pear"}


def test_another_origin_is_refused_and_changes_nothing(fruit: Registry[str]) -> None:
    fruit.add("pear", "a pear", "mine")
    for refused in (
        lambda: fruit.add("pear", "another pear", "theirs"),
        lambda: fruit.check("pear", "theirs"),
    ):
        with pytest.raises(LoptError) as caught:
            refused()
        assert str(caught.value) == (
            "there is a fruit pear already, of mine; the one of theirs needs another "
            "name."
        )
    assert fruit.get("pear") == "a pear"
    fruit.check("pear", "mine")
    fruit.check("plum", "theirs")


def test_all_are_in_alphabetical_order(fruit: Registry[str]) -> None:
    for name in ("plum", "fig", "pear"):
        fruit.add(name, f"a {name}", "mine")
    assert list(fruit.all()) == ["fig", "pear", "plum"]


def test_what_is_added_in_a_block_is_forgotten_after_it(fruit: Registry[str]) -> None:
    fruit.add("pear", "a pear", "mine")
    with suppress(ZeroDivisionError), fruit.temporarily():
        fruit.add("pear", "another pear", "mine")
        fruit.add("fig", "a fig", "theirs")
        assert list(fruit.all()) == ["fig", "pear"]
        raise ZeroDivisionError
    assert fruit.all() == {"pear": "a pear"}
    fruit.add("fig", "a fig", "mine")


def test_home_is_imported_once_when_a_name_is_looked_up(
    fruit: Registry[str], tmp_path: Path
) -> None:
    home = [HOME, f"{HOME}.stone"]
    # What a module of the package adds needs no other module.
    fruit.add("pear", "a pear", "learned_optimization.pears")
    assert fruit.get("pear") == "a pear"
    assert imports(tmp_path) == []
    with pytest.raises(UnknownNameError):
        fruit.get("fig")
    assert imports(tmp_path) == home
    for name in home:
        del sys.modules[name]
    fruit.all()
    with pytest.raises(UnknownNameError):
        fruit.get("fig")
    assert imports(tmp_path) == home


def test_a_name_of_the_package_is_taken_before_any_is_looked_up(
    fruit: Registry[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    basket = ModuleType("basket")
    monkeypatch.setattr(basket, "FRUIT", fruit, raising=False)
    monkeypatch.setitem(sys.modules, "basket", basket)
    (tmp_path / HOME / "stone.py").write_text(
        "from basket import FRUIT\n"
        "FRUIT.add('plum', 'a plum', 'learned_optimization.plums')\n"
    )
    with pytest.raises(LoptError, match="already, of learned_optimization"):
        fruit.add("plum", "my plum", "mine")
    assert fruit.get("plum") == "a plum"


def test_packaged_names_are_those_of_the_package(fruit: Registry[str]) -> None:
    fruit.add("pear", "a pear", "learned_optimization.pears")
    fruit.add("fig", "a fig", "learned_optimization_of_mine")
    assert fruit.packaged() == ["pear"]
    assert is_packaged("learned_optimization")
    assert not is_packaged("__main__")


@pytest.mark.parametrize("registry", [SETS, TASKS, OPTIMIZERS])
def test_what_comes_with_the_package_is_found(registry: Registry) -> None:
    names = registry.packaged()
    assert len(names) > 40
    assert set(names) <= set(registry.all())
    name = names[0]
    assert registry.get(name) is registry.all()[name]
    with pytest.raises(LoptError, match=f"{name} already, of learned_optimization"):
        registry.add(name, object(), "mine")


def test_an_equal_thing_of_another_origin_does_not_take_the_name_over(
    fruit: Registry[str],
) -> None:
    fruit.add("pear", "a pear", "theirs")
    fruit.add("pear", "a pear", "mine")
    with pytest.raises(LoptError, match=r"already, of theirs; the one of mine"):
        fruit.add("pear", "another pear", "mine")
    assert fruit.get("pear") == "a pear"
