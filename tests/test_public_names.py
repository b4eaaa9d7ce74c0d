"""What users may build on: a change of it is a change of a checked-in list."""

import importlib
import inspect
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import griffe
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "learned_optimization"
PUBLIC: dict[str, list[str]] = json.loads(
    (ROOT / "tests" / "public_names.json").read_text()
)
every_module = pytest.mark.parametrize("name", PUBLIC)


@pytest.fixture(scope="module")
def source() -> griffe.Module:
    """Return the package as its source says, without importing it."""
    package = griffe.load(PACKAGE, search_paths=[str(ROOT)])
    assert isinstance(package, griffe.Module)
    return package


@every_module
def test_public_names_are_those_of_the_list(name: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.{name}")
    names = sorted(module.__all__)
    assert names == PUBLIC[name], "if that is meant: tests/public_names.json, changelog"
    assert [n for n in names if not hasattr(module, n)] == []


@every_module
def test_every_public_name_is_documented(name: str, source: griffe.Module) -> None:
    module = importlib.import_module(f"{PACKAGE}.{name}")
    bare = []
    for public in PUBLIC[name]:
        value = getattr(module, public)
        if inspect.isroutine(value) or inspect.isclass(value):
            text = value.__doc__ or ""
            # What `dataclass` writes is no documentation.
            is_documented = bool(text) and not text.startswith(f"{public}(")
        else:
            described = source[f"{name}.{public}"]
            if described.is_alias:
                described = described.final_target
            is_documented = described.docstring is not None
        bare += [] if is_documented else [public]
    assert bare == []


def test_the_pages_of_the_api_have_the_public_modules() -> None:
    pages = "".join(p.read_text() for p in (ROOT / "docs" / "api").glob("*.md"))
    shown = re.findall(rf"^::: {PACKAGE}\.(\S+)$", pages, flags=re.MULTILINE)
    assert sorted(shown) == sorted(PUBLIC)


def test_every_error_is_public() -> None:
    errors = importlib.import_module(f"{PACKAGE}.errors")
    classes = [n for n, v in vars(errors).items() if inspect.isclass(v)]
    raised = [n for n in classes if issubclass(getattr(errors, n), Exception)]
    assert sorted(raised) == PUBLIC["errors"]


def test_the_list_is_sorted() -> None:
    assert list(PUBLIC) == sorted(PUBLIC)


@pytest.mark.slow
def test_the_wheel_has_types_data_and_licences(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run([*command, "--outdir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert f"{PACKAGE}/py.typed" in names
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / PACKAGE).rglob("*.py")}
    assert modules <= set(names)
    assert any(name.endswith("embedded/kjv.txt.xz") for name in names)
    assert sum("/licenses/" in name for name in names) == 3
    assert not [name for name in names if name.startswith("tests")]
