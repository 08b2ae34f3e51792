# The mini-batch loop: 10,000 batches of 100 drawn by np.random.choice, and the accuracies of each epoch.
import numpy as np

from chainrule import data
from chainrule.by_hand.two_layer_net import TwoLayerNet

np.random.seed(0)
train, test = data.mnist()
x_train, t_train = train[:]
x_test, t_test = test[:]
x_train, x_test = x_train.reshape(-1, 784), x_test.reshape(-1, 784)

network = TwoLayerNet(input_size=784, hidden_size=50, output_size=10, weight_init_std=0.01)

iters_num = 10000
train_size = x_train.shape[0]
batch_size = 100
learning_rate = 0.1

train_loss_list = []
train_acc_list = []
test_acc_list = []

iter_per_epoch = max(train_size / batch_size, 1)

for i in range(iters_num):
    batch_mask = np.random.choice(train_size, batch_size)
    x_batch = x_train[batch_mask]
    t_batch = t_train[batch_mask]

    grad = network.gradient(x_batch, t_batch)

    for key in ('W1', 'b1', 'W2', 'b2'):
        network.params[key] -= learning_rate * grad[key]

    loss = network.loss(x_batch, t_batch)
    train_loss_list.append(loss)

    if i % iter_per_epoch == 0:
        train_acc = network.accuracy(x_train, t_train)
        test_acc = network.accuracy(x_test, t_test)
        train_acc_list.append(train_acc)
        test_acc_list.append(test_acc)
        print("train acc, test acc | " + str(train_acc) + ", " + str(test_acc))

print("last:", network.accuracy(x_test, t_test))
print("losses:", len(train_loss_list))
