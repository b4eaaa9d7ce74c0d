"""Put the package's version at the foot of every page: a hook of mkdocs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def on_config(config: Any) -> Any:
    """Return mkdocs's configuration, with name and version before the licence."""
    version = tomllib.loads(_PROJECT.read_text())["project"]["version"]
    config.copyright = f"{config.site_name} {version} · {config.copyright}"
    return config
