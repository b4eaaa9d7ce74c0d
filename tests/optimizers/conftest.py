import json
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.optimizers import opt_list
from tests.tasks.conftest import quick_compilation  # noqa: F401


@pytest.fixture(scope="session")
def made_up_opt_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file in the form of OptList's, with settings drawn here."""
    draw = np.random.default_rng(0).uniform
    rows = [
        {
            "learning_rate": 10 ** draw(-4, -1),
            "beta1": 1 - 10 ** draw(-2, -0.5),
            "beta2": 1 - 10 ** draw(-4, -1),
            "epsilon": 10 ** draw(-8, -2),
            "use_nesterov": bool(i % 2),
            "adamw_weight_decay": 10 ** draw(-5, -2),
            "l2_weight_decay": (i % 3) * 10 ** draw(-5, -2),
            "warmup_fraction": (i % 4) * 0.03,
            "min_learning_rate_mult": (i % 5) * 0.1,
            "constant_fraction": draw(),
        }
        for i in range(opt_list.NUM_SETTINGS)
    ]
    path = tmp_path_factory.mktemp("opt_list") / "opt_list.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.fixture(autouse=True)
def use_made_up_opt_list(
    made_up_opt_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let `OptList` run where the published file is not available."""
    digest = opt_list.hashlib.sha256(made_up_opt_list.read_bytes()).hexdigest()
    monkeypatch.setattr(opt_list, "SHA256", digest)
    monkeypatch.setenv("LOPT_OPT_LIST", str(made_up_opt_list))
