"""How much memory this process has used at most."""

from __future__ import annotations

import sys


def peak_mib() -> float:
    """Return the greatest resident memory of this process so far, in MiB."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    # Linux and the BSDs count in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
