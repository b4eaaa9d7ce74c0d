"""What tests with PyTorch need."""

import pytest

from tests.components import require


@pytest.fixture
def torch():
    """Return PyTorch, with one thread."""
    require("torch")
    import torch

    torch.set_num_threads(1)
    return torch
