"""What all tests share: a seed that is set before each of them, and where the real data sets lie."""
from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import chainrule as cr

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:     # started in the background of a shell; Ctrl-C is tested
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("unhurried", settings.default, deadline=None)      # the machine may be busy
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _seeded():
    """Each test starts from the same streams, whatever ran before."""
    cr.random.seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real data sets: CHAINRULE_TEST_DATA, or ``shared/data`` beside the checkout."""
    folder = Path(os.environ.get("CHAINRULE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the data sets are not beside the checkout; set CHAINRULE_TEST_DATA to their folder")
    return folder


def pytest_sessionfinish(session, exitstatus):
    """Fail a run that must prove everything (CHAINRULE_NO_SKIPS=1) if it skipped anything."""
    if os.environ.get("CHAINRULE_NO_SKIPS") and hasattr(session, "testsfailed"):
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        skipped = reporter.stats.get("skipped", []) if reporter is not None else []
        if skipped and exitstatus == 0:
            reporter.write_line(f"{len(skipped)} tests were skipped, and CHAINRULE_NO_SKIPS is set", red=True)
            session.exitstatus = 1
