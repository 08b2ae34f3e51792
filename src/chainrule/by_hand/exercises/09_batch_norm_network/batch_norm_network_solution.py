"""Batch normalisation, and a two-layer network that has one, written out."""
from collections import OrderedDict

import numpy as np

from chainrule.by_hand.two_layer_net import TwoLayerNet


class BatchNorm:
    """gamma · (x - mean) / √(variance + eps) + beta."""

    def __init__(self, gamma, beta, momentum=0.9, eps=1e-5):
        self.gamma, self.beta, self.momentum, self.eps = gamma, beta, momentum, eps
        self.running_mean, self.running_var = np.zeros(len(gamma)), np.ones(len(gamma))

    def forward(self, x, train_flg=True):
        mean, var = self.running_mean, self.running_var
        if train_flg:
            mean, var = x.mean(axis=0), x.var(axis=0)
            m = self.momentum
            self.running_mean = m * self.running_mean + (1 - m) * mean
            self.running_var = m * self.running_var + (1 - m) * var
        self.std = np.sqrt(var + self.eps)
        self.x_hat = (x - mean) / self.std
        return self.gamma * self.x_hat + self.beta

    def backward(self, dout):
        self.dgamma, self.dbeta = (dout * self.x_hat).sum(axis=0), dout.sum(axis=0)
        n = len(dout)                                      # the two other paths lead through the mean and the variance
        return self.gamma / self.std * (dout - self.dbeta / n - self.x_hat * self.dgamma / n)


class NormalizedNet(TwoLayerNet):
    """Affine1, BatchNorm1, Relu1, Affine2 and softmax."""

    def __init__(self, input_size, hidden_size, output_size, weight_init_std=1.0):
        super().__init__(input_size, hidden_size, output_size, weight_init_std)
        self.params |= {"gamma1": np.ones(hidden_size), "beta1": np.zeros(hidden_size)}
        norm = BatchNorm(self.params["gamma1"], self.params["beta1"])
        first, *others = self.layers.items()
        self.layers = OrderedDict([first, ("BatchNorm1", norm), *others])

    def predict(self, x, train_flg=False):
        for name, layer in self.layers.items():
            x = layer.forward(x, train_flg) if name == "BatchNorm1" else layer.forward(x)
        return x

    def loss(self, x, t, train_flg=False):
        return self.lastLayer.forward(self.predict(x, train_flg), t)

    def gradient(self, x, t):
        self.loss(x, t, train_flg=True)
        dout = self.lastLayer.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        first, norm, _, second = self.layers.values()
        return {"W1": first.dW, "b1": first.db, "gamma1": norm.dgamma, "beta1": norm.dbeta,
                "W2": second.dW, "b2": second.db}
