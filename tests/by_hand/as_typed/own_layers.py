# Layers of one's own among those of the library: in a TwoLayerNet, checked, and in an nn.Sequential.
import numpy as np

import chainrule as cr
from chainrule import data, nn, optim
from chainrule.by_hand.two_layer_net import TwoLayerNet


class Sigmoid:
    def __init__(self):
        self.out = None

    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * (1.0 - self.out) * self.out
        return dx


class WrongSigmoid(Sigmoid):
    def backward(self, dout):
        return dout * (1.0 - self.out)


class Square:
    def __init__(self, W):
        self.W = W
        self.dW = None

    def forward(self, x):
        self.x = x
        return x * x * self.W

    def backward(self, dout):
        self.dW = np.sum(dout * self.x * self.x, axis=0)
        self.dW[1] = 0                            # wrong
        return dout * 2 * self.x * self.W


np.random.seed(1)
train, test = data.digits()
x_train, t_train = train[:]
x_test, t_test = test[:]

net = TwoLayerNet(64, 32, 10, weight_init_std=0.1)
net.layers['Relu1'] = Sigmoid()
x, t = x_train[:5].astype(float), t_train[:5]
numerical, backprop = net.numerical_gradient(x, t), net.gradient(x, t)
for key in numerical:
    print(key, np.abs(numerical[key] - backprop[key]).mean() < 1e-7)
for i in range(2000):
    mask = np.random.choice(len(x_train), 50)
    grads = net.gradient(x_train[mask], t_train[mask])
    for key in grads:
        net.params[key] -= 0.5 * grads[key]
print("accuracy:", net.accuracy(x_test, t_test))

print("right:", cr.check_gradients(Sigmoid(), np.array([[0.5, -2.0]])) < 1e-7)
for layer, x in ((WrongSigmoid(), np.array([[0.5, -2.0]])), (Square(np.array([1.0, 2.0, 3.0])), np.ones((2, 3)))):
    try:
        cr.check_gradients(layer, x)
    except cr.GradientError as error:
        print(type(layer).__name__, sorted((e.argument, e.index, e.verdict) for e in error.elements))

cr.random.seed(0)
model = nn.Sequential(nn.Linear(64, 32), Sigmoid(), nn.Linear(32, 10))
optimizer, loss = optim.SGD(model.parameters(), lr=0.5), nn.CrossEntropyLoss()
for i in range(2000):
    mask = np.random.choice(len(x_train), 50)
    optimizer.zero_grad()
    loss(model(x_train[mask]), t_train[mask]).backward()
    optimizer.step()
with cr.no_grad():
    print("in a Sequential:", np.mean(np.argmax(model(x_test).numpy(), axis=1) == t_test))
