"""The parameters that a torch optimizer is made for, by name and kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_EMBEDDING = "embedding"


class Parameters(list[Any]):
    """A list of `torch.nn.Parameter`, laid out as those of `torch.nn`.

    Args:
      names: path of each, as `Dense_0/kernel`.
      params: the parameters.

    Attributes:
      named: the parameters by name.
    """

    def __init__(self, names: Sequence[str], params: Sequence[Any]):
        super().__init__(params)
        self.named: dict[str, Any] = dict(zip(names, params, strict=True))

    @property
    def matrices(self) -> list[Any]:
        """Matrices and kernels of convolutions, but for embeddings: what Muon steps."""
        return [
            param
            for name, param in self.named.items()
            if param.ndim >= 2 and _EMBEDDING not in name
        ]

    @property
    def embeddings(self) -> list[Any]:
        """Tables of embeddings."""
        return [
            param
            for name, param in self.named.items()
            if param.ndim >= 2 and _EMBEDDING in name
        ]

    @property
    def vectors(self) -> list[Any]:
        """Biases, scales of norms and whatever else has fewer than two axes."""
        return [param for param in self.named.values() if param.ndim < 2]
