"""The moving average against PyTorch's AveragedModel."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("decay", [0.5, 0.99, 0.999])
def test_along_a_training_run(decay, rng):
    """PyTorch's first update copies; ours has done so from the beginning."""
    model = nn.Linear(3, 2, dtype=np.float64)
    twin = torch.nn.Linear(3, 2, dtype=torch.float64)
    twin.load_state_dict({name: torch.tensor(value) for name, value in model.state_dict().items()})
    ours = optim.ExponentialMovingAverage(model.named_parameters(), decay)
    theirs = torch.optim.swa_utils.AveragedModel(twin, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay))
    theirs.update_parameters(twin)
    pair = optim.SGD(model.parameters(), lr=0.1), torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(50):
        x = rng.normal(size=(4, 3))
        for optimizer, loss in zip(pair, ((model(x) ** 2).sum(), (twin(torch.tensor(x)) ** 2).sum()), strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ours.update()
        theirs.update_parameters(twin)
        for name, q in theirs.module.named_parameters():
            np.testing.assert_allclose(ours.averages[name], q.detach().numpy(), rtol=1e-11)
    with ours.applied(), cr.no_grad():
        np.testing.assert_allclose(model(x).numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-11)
