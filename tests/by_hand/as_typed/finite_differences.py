# ruff: noqa
# Gradient descent by nudging each weight, 100 epochs, typed as in the book.
import numpy as np
from chainrule.by_hand.finite_differences import feed_forward, update_weights

x = np.array([[1, 1]])
y = np.array([[0]])
W = [
    np.array([[-0.0053, 0.3793],
              [-0.5820, -0.5204],
              [-0.2723, 0.1896]], dtype=np.float32).T,
    np.array([-0.0140, 0.5607, -0.0628], dtype=np.float32),
    np.array([[0.1528, -0.1745, -0.1135]], dtype=np.float32).T,
    np.array([-0.5516], dtype=np.float32)
]
print("first loss:", feed_forward(x, y, W))

losses = []
for epoch in range(100):
    W, loss = update_weights(x, y, W, 0.01)
    losses.append(loss)
print("last loss:", losses[-1])
print("after it:", feed_forward(x, y, W))

pre_hidden = np.dot(x, W[0]) + W[1]
hidden = 1 / (1 + np.exp(-pre_hidden))
out = np.dot(hidden, W[2]) + W[3]
print("output:", out[0, 0])
for name, w in zip(["W1", "b1", "W2", "b2"], W):
    print(name, w.ravel().tolist(), w.dtype)
