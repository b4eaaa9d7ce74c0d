"""The notebooks of `examples/`: stored as they were written, and run as a user does."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_three_and_the_page_lists_them() -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text()
    assert len(NOTEBOOKS) == 3
    assert all(f"`{path.name}`" in page for path in NOTEBOOKS)


@every_notebook
def test_it_is_stored_without_outputs(path: Path) -> None:
    cells = code_cells(path)
    assert cells
    for cell in cells:
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        assert cell["metadata"] == {}
    # What editors add: the version of Python, widgets, the last kernel.
    stored = json.loads(path.read_text())
    assert set(stored["metadata"]) == {"kernelspec", "language_info"}
    assert stored["metadata"]["language_info"] == {"name": "python"}
    assert path.stat().st_size < 10_000


def executed(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a notebook in a folder; return the text of all outputs."""
    for name in ("nbclient", "nbformat", "ipykernel", "ipywidgets"):
        pytest.importorskip(name, reason=f"NO {name} is installed, so NO NOTEBOOK RUNS")
    import nbclient
    import nbformat

    # The kernel's own: two devices are set for this process.
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=1200,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    assert any("image/png" in o.get("data", {}) for o in outputs)
    widgets = "application/vnd.jupyter.widget-view+json"
    assert any(widgets in o.get("data", {}) for o in outputs)
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return "\n".join(texts)


ANSWERS = {
    "first_comparison": (
        r"140 trials run, 0 had results",
        r"\(14, 5, 101\)",
        r"LR_1000_R5 comes first",
        r"family-wise 5%|equivalent",
    ),
    "own_optimizer": (
        r"95 trials run, 0 had results",
        r"the code of optimizer SignMomentum has changed since it trained "
        r"SignMomentumLR_1000_R5 on ImageMLP",
        r"25 trials run, 0 had results",
        r"On ImageMLP_FashionMnist8_Relu32 SignMomentum is ",
    ),
    "learned_optimizer": (
        r"75 trials run, 0 had results",
        r"mine_LOpt_1000_R5: mine, test loss 0\.[567]",
        r"1 configuration, so untuned",
    ),
}


@pytest.mark.slow
@every_notebook
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = executed(path, tmp_path, monkeypatch)
    for wanted in ANSWERS[path.stem]:
        assert re.search(wanted, printed), printed
