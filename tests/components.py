"""What tests need that is not part of the package: there, or said loudly."""

import importlib.util
import os

import pytest


def require(package: str) -> None:
    """Skip a test where a package is absent; on CI it fails, which has to install it.

    Args:
      package: as Python imports it.
    """
    if importlib.util.find_spec(package) is None:
        if "CI" in os.environ:
            pytest.fail(f"{package} is not installed: .ci/run has to install it")
        pytest.skip(f"NO {package.upper()}: install the extra `test` to test with it")
