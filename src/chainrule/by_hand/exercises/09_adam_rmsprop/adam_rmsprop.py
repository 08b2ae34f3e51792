"""RMSprop and Adam for dictionaries of arrays. All operations are element by element.

In both, p is a parameter, g its gradient, and the running means begin with 0 for each parameter.

参数字典上的 RMSprop 和 Adam。所有运算都逐元素进行。p 是参数，g 是它的梯度；每个参数的滑动平均都从 0 开始。
"""
import numpy as np  # noqa: F401


class RMSprop:
    """v ← α v + (1 - α) g²,  p ← p - lr · g / (√v + ε).

    v is a running mean of the gradient's square. v 是梯度平方的滑动平均。
    """

    def __init__(self, lr=0.01, alpha=0.99, eps=1e-8):
        self.lr, self.alpha, self.eps = lr, alpha, eps

    def update(self, params, grads):
        """Take a step. params and grads are dicts of arrays with the same names; only the arrays of params change.

        走一步。params 和 grads 是同名的数组字典；只就地修改 params 里的数组。
        """
        raise NotImplementedError("keep a v for each name, and change each array in place: p -= …")


class Adam:
    """m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← p - lr · m̂ / (√v̂ + ε).

    In step t = 1, 2, … the corrected means are m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ).

    第 t 步（t = 1, 2, …）修正后的平均是 m̂ = m / (1 - β₁ᵗ) 和 v̂ = v / (1 - β₂ᵗ)。
    """

    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps

    def update(self, params, grads):
        """Take a step, as RMSprop.update. 走一步，约定与 RMSprop.update 相同。"""
        raise NotImplementedError("count the steps, keep m and v for each name, and correct both")
