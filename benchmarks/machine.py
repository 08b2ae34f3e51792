"""On what the figures were measured, and how much memory a process has needed."""
from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["describe", "machine", "peak"]


def machine() -> dict[str, Any]:
    """Return processor, versions, load and time."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]       # type: ignore[index]
    return {
        "processor": _processor(), "cores": os.cpu_count(), "system": platform.platform(),
        "python": platform.python_version(), "numpy": np.__version__, "blas": f"{blas['name']} {blas['version']}",
        "torch": _version("torch"), "jax": _version("jax"),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def describe(found: dict[str, Any]) -> str:
    """Return it in two lines."""
    load = "" if found["load"] is None else f", load average {found['load']:.2f}"
    return (f"{found['processor']}, {found['cores']} cores{load}, {found['date']}\n"
            f"Python {found['python']}, NumPy {found['numpy']} with {found['blas']}, "
            f"PyTorch {found['torch'] or 'not installed'}, JAX {found['jax'] or 'not installed'}")


def peak() -> int | None:
    """Return how many bytes of memory this process has had at most; None where the system does not tell.

    On Linux that is VmHWM: the figure of `getrusage` begins with what the process that started this one had needed.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:                                # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
