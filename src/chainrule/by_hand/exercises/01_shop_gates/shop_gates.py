"""Two more gates for the fruit shop of chapter 1, and a basket that goes through them.

第 1 章水果店的另外两个门，以及一篮从中经过的水果。
"""
from chainrule.by_hand.layers import AddLayer, MulLayer  # noqa: F401    for checkout


class DivLayer:
    """z = x / y, with ∂z/∂x = 1 / y and ∂z/∂y = -x / y². Numbers in, numbers out.

    除法门。输入输出都是数。
    """

    def forward(self, x, y):
        """Return the quotient. 返回商。"""
        raise NotImplementedError("return x / y, and remember what backward needs")

    def backward(self, dout):
        """Return (dx, dy), where dout is the gradient of z. 返回 (dx, dy)；dout 是 z 的梯度。"""
        raise NotImplementedError("return dout times the slope by x, and dout times the slope by y")


class DiscountLayer:
    """z = x · (1 - rate) if x ≥ threshold, and z = x if not.

    The threshold is a setting, not an input: nobody asks for its gradient.

    折扣门：x 达到门槛 threshold 时 z = x · (1 - rate)，否则 z = x。门槛是设置，不是输入，不求它的梯度。
    """

    def __init__(self, threshold):
        self.threshold = threshold

    def forward(self, x, rate):
        """Return the price after the discount. 返回折后的价钱。"""
        raise NotImplementedError("return the price after the discount, and remember what backward needs")

    def backward(self, dout):
        """Return (dx, drate). 返回 (dx, drate)。"""
        raise NotImplementedError("return both gradients; which of them depends on the branch that forward took?")


def checkout(dozen, apples, orange, oranges, rate, tax):
    """Return what a basket costs, and the gradients of all six numbers.

    total = discount(dozen / 12 · apples + orange · oranges) · tax, with a discount from 500 on.

    dozen is the price of 12 apples, orange that of one orange, apples and oranges say how many are bought, rate is the
    share taken off (0.1), tax the factor of the tax (1.1).

    返回一篮水果的总价和六个数的梯度。dozen 是 12 个苹果的价钱，orange 是一个橘子的价钱，apples 和 oranges 是个数，
    rate 是折扣（0.1 即减一成），tax 是税的系数（1.1）；满 500 才打折。

    Returns
    -------
    total : number
    gradients : dict
        Of the names of the six arguments. 键是六个参数的名字。
    """
    raise NotImplementedError("make one layer for each step, go forward through them, and backward in reverse order")
