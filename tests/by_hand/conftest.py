"""Where chapters put their figures while they are tested."""
from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def _figures(tmp_path_factory):
    """Not into the folder from which the tests are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_FIGURES", str(tmp_path_factory.mktemp("figures")))
        patch.delenv("CHAINRULE_QUICK", raising=False)
        with threadpool_limits(1, user_api="blas"):      # as chainrule by-hand runs them
            yield
