"""Cross-entropy with smoothed labels, forward and backward.

    L = -1/N · Σₙ Σ_c q[n, c] · ln softmax(s)[n, c]

标签平滑的交叉熵，前向和反向。
"""
import numpy as np  # noqa: F401


def log_softmax(scores):
    """Return ln softmax of each row: s - ln Σ exp s. Scores (N, C), of any size, even ±1e4.

    返回每行 softmax 的对数。scores 形状 (N, C)，数值可以很大（±1e4）。
    """
    raise NotImplementedError("subtract the largest score of each row first: why does that change nothing?")


def smoothed(classes, count, smoothing):
    """Return the targets q (N, count): smoothing / count everywhere, and 1 - smoothing more at the true class.

    classes (N,) are whole numbers from 0 to count - 1, smoothing is a number from 0 to 1.

    返回目标 q，形状 (N, count)：处处是 smoothing / count，真实类别处再加 1 - smoothing。
    """
    raise NotImplementedError("return the targets")


class SmoothedCrossEntropy:
    """The mean loss of scores (N, C) and classes (N,). 一批样本的平均损失。"""

    def __init__(self, smoothing):
        self.smoothing = smoothing

    def forward(self, scores, classes):
        """Return the loss, a number. 返回损失，一个数。"""
        raise NotImplementedError("return the mean loss, and remember what backward needs")

    def backward(self, dout=1):
        """Return the gradient of the scores (N, C); dout is that of the loss. 返回得分的梯度；dout 是损失的梯度。"""
        raise NotImplementedError("return dout times the slope of the loss by each score")
