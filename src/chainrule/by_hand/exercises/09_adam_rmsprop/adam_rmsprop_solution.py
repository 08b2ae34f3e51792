"""RMSprop and Adam, written out."""
import numpy as np


class RMSprop:
    """A running mean of the gradient's square."""

    def __init__(self, lr=0.01, alpha=0.99, eps=1e-8):
        self.lr, self.alpha, self.eps = lr, alpha, eps
        self.v = {}

    def update(self, params, grads):
        for name, p in params.items():
            g = grads[name]
            self.v[name] = self.alpha * self.v.get(name, 0.0) + (1 - self.alpha) * g ** 2
            p -= self.lr * g / (np.sqrt(self.v[name]) + self.eps)


class Adam:
    """Running means of the gradient and of its square, corrected."""

    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.t, self.m, self.v = 0, {}, {}

    def update(self, params, grads):
        self.t += 1
        for name, p in params.items():
            g = grads[name]
            self.m[name] = self.beta1 * self.m.get(name, 0.0) + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v.get(name, 0.0) + (1 - self.beta2) * g ** 2
            m_hat = self.m[name] / (1 - self.beta1 ** self.t)
            v_hat = self.v[name] / (1 - self.beta2 ** self.t)
            p -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
