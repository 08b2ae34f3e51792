# A MulLayer of one's own, beside an AddLayer and a MulLayer of the library.
from chainrule.by_hand import layers
from chainrule.by_hand.layers import AddLayer


class MulLayer:
    def __init__(self):
        self.x = None
        self.y = None

    def forward(self, x, y):
        self.x = x
        self.y = y
        out = x * y
        return out

    def backward(self, dout):
        dx = dout * self.y
        dy = dout * self.x
        return dx, dy


apple, apple_num, orange, orange_num, tax = 100, 2, 150, 3, 1.1

mul_apple_layer = MulLayer()                # one's own
mul_orange_layer = layers.MulLayer()        # the library's
add_layer = AddLayer()                      # the library's
mul_tax_layer = MulLayer()                  # one's own

apple_price = mul_apple_layer.forward(apple, apple_num)
orange_price = mul_orange_layer.forward(orange, orange_num)
price = mul_tax_layer.forward(add_layer.forward(apple_price, orange_price), tax)

dall_price, dtax = mul_tax_layer.backward(1)
dapple_price, dorange_price = add_layer.backward(dall_price)
dorange, dorange_num = mul_orange_layer.backward(dorange_price)
dapple, dapple_num = mul_apple_layer.backward(dapple_price)

print("price:", int(price))
print("dApple: %.1f" % dapple)
print("dApple_num:", int(dapple_num))
print("dOrange: %.1f" % dorange)
print("dOrange_num:", int(dorange_num))
print("dTax:", dtax)
