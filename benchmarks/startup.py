"""What ``import chainrule`` costs beyond ``import numpy``, each in fresh processes, in alternation."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from .rows import spread

__all__ = ["measure", "table"]

TIMED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
LISTED = """
import json, sys
before = set(sys.modules)
import chainrule
new = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps(sorted(n for n in new - {"chainrule", "numpy"} if getattr(sys.modules.get(n), "__spec__", None))))
"""
TARGET = 50              #: milliseconds more than NumPy


def _python(program: str, cache: str) -> Any:
    environment = os.environ | {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def measure(rounds: int) -> dict[str, Any]:
    """Return milliseconds, each a (median, 10th, 90th percentile), and which other packages were loaded."""
    packages = ["numpy", "chainrule"]
    times: dict[str, list[float]] = {package: [] for package in packages}
    with tempfile.TemporaryDirectory() as cache:       # byte code of both, as an installation has it
        others = _python(LISTED, cache)
        for i in range(rounds):
            for package in packages if i % 2 else packages[::-1]:
                times[package].append(_python(TIMED.format(package), cache) * 1e3)
    more = [ours - theirs for ours, theirs in zip(times["chainrule"], times["numpy"], strict=True)]
    return {"numpy": spread(times["numpy"]), "chainrule": spread(times["chainrule"]), "difference": spread(more),
            "other packages": others}


def table(found: dict[str, Any]) -> str:
    """Return what was measured, for people."""
    lines = ["ms per import in a fresh process; median (10 % – 90 %)"]
    for name in ("numpy", "chainrule", "difference"):
        lines.append(f"    {name:16}" + "{:8.1f} ({:.1f} – {:.1f})".format(*found[name]))
    more, others = found["difference"][0], found["other packages"]
    lines.append(f"    target: at most {TARGET} ms more than NumPy: {'met' if more <= TARGET else 'missed'}")
    lines.append(f"    packages loaded besides NumPy: {', '.join(others) or 'none'}")
    return "\n".join(lines)
