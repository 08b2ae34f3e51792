"""Eight layers under suspicion. Leave this file as it is; the work is in wrong_layers.py.

Samples are rows. After backward, dW and db are the gradients of W and b.

八个有嫌疑的层。不要改动这个文件，在 wrong_layers.py 里作答。每行一个样本；backward 之后，dW 和 db 是 W 和 b 的梯度。
"""
import numpy as np


class Relu:
    """max(x, 0)."""

    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0.0, x)

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class LeakyRelu:
    """x where x > 0, and x / 10 elsewhere. 正数不变，其余除以 10。"""

    def forward(self, x):
        self.slope = np.where(x > 0, 1.0, 0.1)
        return x * self.slope

    def backward(self, dout):
        return dout * self.slope


class Sigmoid:
    """1 / (1 + exp(-x))."""

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 + self.out)


class Tanh:
    """tanh(x)."""

    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out ** 2)


class Twice:
    """tanh(tanh(x)): one layer, used twice. 同一个层用两次。"""

    def __init__(self):
        self.layer = Tanh()

    def forward(self, x):
        return self.layer.forward(self.layer.forward(x))

    def backward(self, dout):
        return self.layer.backward(self.layer.backward(dout))


class Affine:
    """x W + b: x (N, inputs), W (inputs, outputs), b (outputs,)."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout
        return dout @ self.W.T


class Mean:
    """The mean of the rows: (N, D) to (D,). 各行的平均。"""

    def forward(self, x):
        self.rows = len(x)
        return x.mean(axis=0)

    def backward(self, dout):
        return np.tile(dout / self.rows, (self.rows, 1))


class SoftmaxWithLoss:
    """Mean cross-entropy of scores (N, C) after softmax; t are classes (N,). softmax 之后的平均交叉熵；t 是类别。"""

    def forward(self, x, t):
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.mean(np.log(self.y[np.arange(len(t)), t]))

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx / len(self.t)


X = np.array([[0.5, -1.2, 2.0], [-0.3, 0.9, -0.7]])
W, B = np.array([[0.1, -0.4], [0.8, 0.3], [-0.2, 0.6]]), np.array([0.5, -0.1])

#: Of each name the class, its parameters, and inputs to try it on. 每个名字对应：类、参数、试验用的输入。
CASES = {
    "Relu": (Relu, (), (X,)),
    "LeakyRelu": (LeakyRelu, (), (np.array([[1.5, 0.0, -2.0]]),)),
    "Sigmoid": (Sigmoid, (), (X,)),
    "Tanh": (Tanh, (), (X,)),
    "Twice": (Twice, (), (X,)),
    "Affine": (Affine, (W, B), (X,)),
    "Mean": (Mean, (), (X,)),
    "SoftmaxWithLoss": (SoftmaxWithLoss, (), (X, np.array([2, 0]))),
}
