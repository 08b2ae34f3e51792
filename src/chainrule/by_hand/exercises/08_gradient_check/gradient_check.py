"""The gradient check: backpropagation against centred differences.

梯度检验：反向传播与中心差分的比较。
"""
import numpy as np  # noqa: F401


def to_vector(arrays):
    """Return all elements of a dict of arrays as one vector (n,), one array after the other, in the dict's order.

    把字典里所有数组的元素按字典的顺序接成一个向量 (n,)。
    """
    raise NotImplementedError("return one long vector, a copy")


def to_dictionary(theta, like):
    """Return the vector as a dict of arrays with the names, order and shapes of `like`. The inverse of to_vector.

    把向量还原成字典，名字、顺序和形状与 like 相同。它是 to_vector 的逆。
    """
    raise NotImplementedError("cut the vector into pieces, and give each its name and its shape")


def numerical_gradient(f, theta, epsilon=1e-6):
    """Return the vector of (f(θ + ε eᵢ) - f(θ - ε eᵢ)) / 2ε, for i from 0 to n - 1.

    f takes a vector and returns a number. theta is as before in the end, even if f raises an exception.

    返回由 (f(θ + ε eᵢ) - f(θ - ε eᵢ)) / 2ε 组成的向量。f 接受一个向量，返回一个数。结束时 theta 必须与原来一样，
    即使 f 抛出异常。
    """
    raise NotImplementedError("move one element at a time, both ways")


def relative_difference(a, n):
    """Return ‖a - n‖ / (‖a‖ + ‖n‖): 0 for equal vectors, 1 for opposite ones; 0 if both are 0.

    返回相对差：两向量相等时为 0，相反时为 1；两者都是零向量时为 0。
    """
    raise NotImplementedError("return one number; mind the division by 0")


def gradient_check(cost, parameters, gradients, epsilon=1e-6):
    """Return the relative difference between gradients and the differences of a cost.

    cost(parameters) is a number; parameters is a dict such as {"W1": …, "b1": …}; gradients has that of W1 under "dW1",
    and may have others, such as "dA0", in any order. Neither dict, nor any array in them, is changed.

    返回 gradients 与代价的差分之间的相对差。cost(parameters) 是一个数；parameters 形如 {"W1": …, "b1": …}；gradients 里
    W1 的梯度叫 "dW1"，顺序任意，也可能含有别的键（如 "dA0"）。两个字典及其中的数组都不能改动。
    """
    raise NotImplementedError("compare the vector of the gradients with the numerical one")
