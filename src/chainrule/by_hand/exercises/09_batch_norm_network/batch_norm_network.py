"""Batch normalisation, and a two-layer network that has one. Samples are rows.

    μ = mean of x over the batch        σ² = mean of (x - μ)²
    x̂ = (x - μ) / √(σ² + ε)             y = γ x̂ + β

批归一化，以及带有批归一化的两层网络。每行一个样本。
"""
import numpy as np

from chainrule.by_hand.layers import Affine, Relu, SoftmaxWithLoss  # noqa: F401    for NormalizedNet
from chainrule.by_hand.two_layer_net import TwoLayerNet


class BatchNorm:
    """A layer: gamma, beta, running_mean and running_var are (D,), x is (N, D).

    running_mean begins with 0, running_var with 1. After backward, dgamma and dbeta are the gradients, (D,).

    批归一化层。gamma、beta、running_mean、running_var 的形状是 (D,)，x 是 (N, D)；running_mean 从 0 开始，running_var
    从 1 开始。backward 之后，dgamma 和 dbeta 是梯度。
    """

    def __init__(self, gamma, beta, momentum=0.9, eps=1e-5):
        self.gamma, self.beta, self.momentum, self.eps = gamma, beta, momentum, eps
        self.running_mean, self.running_var = np.zeros(len(gamma)), np.ones(len(gamma))

    def forward(self, x, train_flg=True):
        """Return y (N, D).

        In training: with μ and σ² of the batch; and running = momentum · running + (1 - momentum) · that of the batch,
        for both. Otherwise: with the running statistics, which stay as they are.

        返回 y (N, D)。训练时用这一批的 μ 和 σ²，并更新两个滑动统计量：running = momentum · running + (1 - momentum) ·
        这一批的值。其他时候用滑动统计量，且不改动它们。
        """
        raise NotImplementedError("write both branches, and remember what backward needs")

    def backward(self, dout):
        """Return dx (N, D) for a forward in training, and set dgamma and dbeta. 返回 dx，并设置 dgamma 和 dbeta。

        dx = γ / √(σ² + ε) · (dout - mean of dout - x̂ · mean of dout · x̂), means over the batch: derive it.
        """
        raise NotImplementedError("set self.dgamma and self.dbeta, and return dx")


class NormalizedNet(TwoLayerNet):
    """Affine1, BatchNorm1, Relu1, Affine2 and softmax.

    `params` has gamma1 (hidden_size,), which begins with 1, and beta1, which begins with 0, besides W1, b1, W2, b2.

    带批归一化的两层网络。params 里另有 gamma1（从 1 开始）和 beta1（从 0 开始），形状都是 (hidden_size,)。
    """

    def __init__(self, input_size, hidden_size, output_size, weight_init_std=1.0):
        """Call super().__init__, then put BatchNorm1 into self.layers, an OrderedDict, in its place.

        先调用父类的 __init__，再把 BatchNorm1 插到 self.layers（OrderedDict）里它的位置上。
        """
        raise NotImplementedError("make self.params and self.layers, in the order of the forward pass")

    def predict(self, x, train_flg=False):
        """Return the scores (N, output_size). 返回得分。"""
        raise NotImplementedError("go through self.layers; only one of them wants train_flg")

    def loss(self, x, t, train_flg=False):
        """Return the mean cross-entropy. 返回平均交叉熵。"""
        raise NotImplementedError("return what self.lastLayer says of the scores")

    def gradient(self, x, t):
        """Return the gradient of the loss in training by each parameter, under the names of `params`.

        返回训练时的损失对每个参数的梯度，键与 params 相同。
        """
        raise NotImplementedError("go forward in training, then backward through all layers, and collect")
