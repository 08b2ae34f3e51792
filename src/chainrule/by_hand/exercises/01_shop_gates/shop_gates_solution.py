"""Two more gates for the fruit shop, written out."""
from chainrule.by_hand.layers import AddLayer, MulLayer


class DivLayer:
    """z = x / y."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x / y

    def backward(self, dout):
        return dout / self.y, -dout * self.x / self.y ** 2


class DiscountLayer:
    """z = x · (1 - rate) from the threshold on, z = x below."""

    def __init__(self, threshold):
        self.threshold = threshold

    def forward(self, x, rate):
        self.x, self.rate = x, rate
        self.granted = x >= self.threshold
        return x * (1 - rate) if self.granted else x

    def backward(self, dout):
        if self.granted:
            return dout * (1 - self.rate), -dout * self.x
        return dout, 0.0


def checkout(dozen, apples, orange, oranges, rate, tax):
    each, mul_apple, mul_orange, add_fruit = DivLayer(), MulLayer(), MulLayer(), AddLayer()
    discount, mul_tax = DiscountLayer(500), MulLayer()

    apple = each.forward(dozen, 12)
    basket = add_fruit.forward(mul_apple.forward(apple, apples), mul_orange.forward(orange, oranges))
    total = mul_tax.forward(discount.forward(basket, rate), tax)

    dprice, dtax = mul_tax.backward(1)
    dbasket, drate = discount.backward(dprice)
    dapple_price, dorange_price = add_fruit.backward(dbasket)
    dorange, doranges = mul_orange.backward(dorange_price)
    dapple, dapples = mul_apple.backward(dapple_price)
    ddozen, _ = each.backward(dapple)
    return total, {"dozen": ddozen, "apples": dapples, "orange": dorange, "oranges": doranges, "rate": drate,
                   "tax": dtax}
