"""The gradients of a small network as products of factors.

    h = x W + b        a = tanh h        ŷ = a · v        C = (y - ŷ)²

x (inputs,), W (inputs, hidden), b (hidden,), v (hidden,); y, ŷ and C are numbers.

一个小网络的梯度，写成因子的乘积。x 形状 (输入,)，W (输入, 隐藏)，b 和 v (隐藏,)；y、ŷ、C 是数。
"""
import numpy as np  # noqa: F401


def cost(x, W, b, v, y):
    """Return C. 返回 C。"""
    raise NotImplementedError("return the squared error of the network")


def factors_of_v(x, W, b, v, y, j):
    """Return the two factors of ∂C/∂vⱼ: (∂C/∂ŷ, ∂ŷ/∂vⱼ). 返回 ∂C/∂vⱼ 的两个因子。"""
    raise NotImplementedError("return a tuple of two numbers, the cost first")


def factors_of_w(x, W, b, v, y, i, j):
    """Return the four factors of ∂C/∂wᵢⱼ: (∂C/∂ŷ, ∂ŷ/∂aⱼ, ∂aⱼ/∂hⱼ, ∂hⱼ/∂wᵢⱼ). 返回 ∂C/∂wᵢⱼ 的四个因子。"""
    raise NotImplementedError("return a tuple of four numbers, the cost first")


def factors_of_b(x, W, b, v, y, j):
    """Return the four factors of ∂C/∂bⱼ. 返回 ∂C/∂bⱼ 的四个因子。"""
    raise NotImplementedError("return a tuple of four numbers: which differs from those of a weight?")


def gradients(x, W, b, v, y):
    """Return {"W": …, "b": …, "v": …}, arrays of the shapes of W, b and v; no loop is needed.

    返回三个梯度，形状与 W、b、v 相同；不需要循环。
    """
    raise NotImplementedError("return all gradients at once: how do the factors of all i and j make a matrix?")
