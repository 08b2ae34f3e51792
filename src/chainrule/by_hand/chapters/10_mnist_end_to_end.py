# about 10 s, 5 s with --quick
# %% [en]
# # 10. MNIST end to end
#
# Everything so far, once from beginning to end: data, a deep network, mini-batches, training, a test on digits never
# seen before, and a look at the mistakes. First in the style of chapter 8, with samples in columns and functions that
# hand caches on. Then the same network in ten lines of the framework. Both times are printed side by side.
#
# ## Data
#
# 60,000 images to train on, 10,000 to test with. Two preparations matter more than they look:
#
# - **Pixels from 0 to 1**, not from 0 to 255. The gradient of W₁ is proportional to the inputs, so with raw bytes the
#   same rate takes steps 255 times as long.
# - **float32 throughout.** One float64 array is enough to spoil it: float32 − float64 gives float64, then the gradients
#   are float64, then the weights, and from there on everything takes twice the time and memory, without a word.
#   `np.eye(10)` is such an array.

# %% [zh]
# # 10. MNIST 从头到尾
#
# 把前面的内容从头到尾走一遍：数据、深层网络、小批量、训练、用从未见过的数字来测试，再看看错在哪里。先用第 8 章的写法，
# 样本放在列里，函数之间传递缓存；再用框架的十行代码做同一个网络。两者的用时并排打印出来。
#
# ## 数据
#
# 60,000 幅图像用来训练，10,000 幅用来测试。有两项准备比看上去重要：
#
# - **像素取 0 到 1**，而不是 0 到 255。W₁ 的梯度与输入成正比，如果直接用原始字节，同样的学习率一步就长 255 倍。
# - **始终用 float32。** 只要混进一个 float64 数组就前功尽弃：float32 − float64 得到 float64，于是梯度成了 float64，接着
#   权重也成了 float64，从此一切都要花两倍的时间和内存，而且没有任何提示。`np.eye(10)` 就是这样的数组。

# %%
import time

import numpy as np

from chainrule.by_hand.l_layer import (
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
    update_parameters,
)
from chainrule.by_hand.pictures import lines, panels
from chainrule.by_hand.reading import quick, save
from chainrule.data import mnist

train_set, test_set = mnist()
(rows, labels), (test_rows, test_labels) = train_set[:], test_set[:]
X, test_X = rows.T, test_rows.T                          # samples in columns: (784, 60000)
Y = np.eye(10, dtype=np.float32)[:, labels]              # one-hot: (10, 60000)
print(f"X {X.shape} {X.dtype} from {X.min():g} to {X.max():g},  Y {Y.shape} {Y.dtype}")
print(f"with np.eye(10) as it comes, the first gradient would be {(X[:1, :1] - np.eye(10)[:1, :1]).dtype}")

# %% [en]
# ## Ten classes: softmax
#
# Chapter 8 ends in a sigmoid, which answers one question, yes or no. Ten classes that exclude each other take softmax
# and the cross-entropy: $P_k = e^{z_k} / \sum_j e^{z_j}$ and $\mathcal L = -\sum_k y_k \ln P_k$. What becomes of
# the first equation of backpropagation? With $\ln P_k = z_k - \ln \sum_j e^{z_j}$ and $\sum_k y_k = 1$,
#
#     ∂L/∂zⱼ = −yⱼ + Pⱼ        dZ = P − Y
#
# It is the same equation. The other four do not know what the last activation is. So the loops of chapter 8 stay;
# the last layer is linear, and the way back begins with P − Y.
#
# One more detail: exp(z) overflows from about 88 on in float32. Subtracting the largest score of each column changes no
# probability and makes the largest exponent 0.

# %% [zh]
# ## 十个类别：softmax
#
# 第 8 章以 sigmoid 结尾，它只回答一个是非题。十个互斥的类别要用 softmax 和交叉熵：$P_k = e^{z_k} / \sum_j e^{z_j}$，
# $\mathcal L = -\sum_k y_k \ln P_k$。反向传播的第一个式子会变成什么？由 $\ln P_k = z_k - \ln \sum_j e^{z_j}$ 以及
# $\sum_k y_k = 1$，得
#
#     ∂L/∂zⱼ = −yⱼ + Pⱼ        dZ = P − Y
#
# 还是同一个式子。其余四个式子根本不关心最后的激活函数是什么。所以第 8 章的循环不用改：最后一层是线性的，反向从 P − Y
# 开始。
#
# 还有一个细节：在 float32 里，z 大约从 88 起，exp(z) 就会溢出。每一列减去其中最大的得分，概率不变，而最大的指数成了 0。

# %%
sizes = [784, 128, 64, 10]
depth = len(sizes) - 1


def he_initialisation(sizes, seed=0):
    """Return weights of the standard deviation √(2/inputs), and biases 0."""
    rng = np.random.default_rng(seed)
    parameters = {}
    for layer in range(1, len(sizes)):
        inputs, outputs = sizes[layer - 1:layer + 1]
        parameters[f"W{layer}"] = rng.standard_normal((outputs, inputs), np.float32) * np.float32(np.sqrt(2 / inputs))
        parameters[f"b{layer}"] = np.zeros((outputs, 1), np.float32)
    return parameters


def softmax(Z):
    powers = np.exp(Z - Z.max(axis=0))
    return powers / powers.sum(axis=0)


def forward(X, parameters):
    """Return the scores, and what each layer keeps for the way back."""
    A, caches = X, []
    for layer in range(1, depth):
        A, cache = linear_activation_forward(A, parameters[f"W{layer}"], parameters[f"b{layer}"], "relu")
        caches.append(cache)
    Z, cache = linear_forward(A, parameters[f"W{depth}"], parameters[f"b{depth}"])
    return Z, [*caches, cache]


def backward(Z, Y, caches):
    """Return the gradients of the mean cross-entropy."""
    gradients = {}
    dA, gradients[f"dW{depth}"], gradients[f"db{depth}"] = linear_backward(softmax(Z) - Y, caches[-1])
    for layer in range(depth - 1, 0, -1):
        dA, gradients[f"dW{layer}"], gradients[f"db{layer}"] = linear_activation_backward(dA, caches[layer - 1], "relu")
    return gradients


first_weights = he_initialisation(sizes)
Z, caches = forward(X[:, :100], first_weights)
gradients = backward(Z, Y[:, :100], caches)
first_loss = -np.mean(np.log(softmax(Z)[labels[:100], np.arange(100)]))
print(f"{sum(each.size for each in first_weights.values()):,} parameters; "
      f"loss of the first 100 images before training: {first_loss:.2f}")

# %% [en]
# ## Mini-batches
#
# Chapter 8 took all samples for each step. With 60,000 that is waste: 100 images at random give roughly the direction,
# for a 600th of the work. An epoch shuffles the images and takes them 100 at a time, so that each comes exactly once.

# %% [zh]
# ## 小批量
#
# 第 8 章每走一步都用上全部样本。有 60,000 个样本时这样做太浪费：随机取 100 幅图像，就能得到大致的方向，计算量只有
# 1/600。每一轮先打乱次序，再每次取 100 幅，于是每幅图像恰好来一次。

# %%
epochs, batch_size, learning_rate = 1 if quick() else 5, 100, 0.1


def fit(X, Y, parameters, epochs, seed=0):
    """Train by mini-batches; return the parameters and the mean loss of each epoch."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(epochs):
        losses = []
        order = rng.permutation(X.shape[1])
        for begin in range(0, len(order), batch_size):
            batch = order[begin:begin + batch_size]
            batch_Y = Y[:, batch]
            Z, caches = forward(X[:, batch], parameters)
            parameters = update_parameters(parameters, backward(Z, batch_Y, caches), learning_rate)
            top = Z.max(axis=0)
            losses.append(np.mean(top + np.log(np.exp(Z - top).sum(axis=0)) - (Z * batch_Y).sum(axis=0)))
        means.append(float(np.mean(losses)))
    return parameters, means


def accuracy(X, labels, parameters):
    return float(np.mean(forward(X, parameters)[0].argmax(axis=0) == labels))


began = time.perf_counter()
trained, by_hand_losses = fit(X, Y, dict(first_weights), epochs)
by_hand_seconds = time.perf_counter() - began
by_hand_accuracy = accuracy(test_X, test_labels, trained)
for epoch, loss in enumerate(by_hand_losses, 1):
    print(f"epoch {epoch}   loss {loss:.4f}")
print(f"by hand: {by_hand_accuracy:.2%} of the test images, {by_hand_seconds:.1f} s; weights are {trained['W1'].dtype}")

# %% [en]
# ## The same in ten lines
#
# The framework has the same layers with the same shape of W, (outputs, inputs); samples are rows, so nothing is
# transposed. It calls the first W `0.weight`, since it is the weight of layer 0; under such names we hand over the
# first weights from above, so that both begin at the same place. Then come the ten lines, imports included. None of
# them says how to go back.

# %% [zh]
# ## 同样的事，十行代码
#
# 框架里的层与上面相同，W 的形状也一样，是 (输出数, 输入数)；样本放在行里，不必转置。第一个 W 在框架里叫 `0.weight`，
# 也就是第 0 层的权重；我们用这样的名字把上面的初始权重交给它，好让两者从同一处出发。接下来就是那十行，连 import 也算
# 在内。至于怎样反向传播，一行也不用写。

# %%
state = {}
for layer in range(1, depth + 1):                        # layers 0, 2 and 4; ReLU, without weights, stands between
    state[f"{2 * layer - 2}.weight"] = first_weights[f"W{layer}"]
    state[f"{2 * layer - 2}.bias"] = first_weights[f"b{layer}"][:, 0]

# %%
from chainrule import Trainer, data, nn, optim

train, test = data.mnist()
model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
model.load_state_dict(state)
trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=learning_rate), seed=0)
history = trainer.fit(train, epochs=epochs, batch_size=batch_size, callbacks=())
result = trainer.evaluate(test)
print(f"framework: {result['accuracy']:.2%} of the test images, {sum(history['seconds']):.1f} s")

# %% [en]
# ## Is it the same?
#
# From the same weights, for the same 100 images, both must find the same gradients, up to float32. And beside each
# other:

# %% [zh]
# ## 真的一样吗？
#
# 从同样的权重出发，对同样的 100 幅图像，两者求出的梯度必须相同，只差 float32 的舍入。再把两者并排放在一起：

# %%
twin = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
twin.load_state_dict(state)
nn.CrossEntropyLoss()(twin(rows[:100]), labels[:100]).backward()
differences = {}
for mine, theirs in zip(("dW1", "db1", "dW2", "db2", "dW3", "db3"), twin.parameters(), strict=True):
    gradient = theirs.grad.numpy()
    differences[mine] = np.abs(gradients[mine].reshape(gradient.shape) - gradient).max() / np.abs(gradient).max()
print("largest relative differences:", "  ".join(f"{name} {each:.0e}" for name, each in differences.items()))

steps = epochs * len(labels) // batch_size
framework_seconds = sum(history["seconds"])
print("             seconds   ms a step   loss of the last epoch   test accuracy")
for name, seconds, loss, share in (
        ("by hand", by_hand_seconds, by_hand_losses[-1], by_hand_accuracy),
        ("framework", framework_seconds, history["train_loss"][-1], result["accuracy"])):
    print(f"{name:10} {seconds:9.1f} {1000 * seconds / steps:11.2f} {loss:24.4f} {share:15.2%}")

figure = lines({"by hand": (np.arange(1, epochs + 1), by_hand_losses),
                "framework": (np.arange(1, epochs + 1), history["train_loss"])},
               "MNIST, 784-128-64-10", x="epoch", y="mean loss")
save(figure, "10-loss")

# %% [en]
# The images come in another order, so the two networks are not equal, but equally good. Both spend most of their time
# in the same matrix products. The framework takes the pixels out as bytes and scales them batch by batch, keeps the
# training accuracy, and looks at each loss whether it is still finite; our loop does none of this.
#
# What costs a word in the framework, and much by hand: another optimizer, a schedule, dropout, saving and going on.
# What is worth doing by hand, once: all of the above. You have now seen everything that is inside.
#
# ## Rows, columns, and the memory behind them
#
# X above is `rows.T`, a *view*: not a number was moved, an image still lies in one piece of memory, and taking 100
# images copies 100 pieces. `np.ascontiguousarray(rows.T)` looks the same and computes the same, but now each pixel of
# an image lies in another row, 240,000 bytes apart, and to take one image means to collect 784 numbers from all over
# the memory. Columns in formulas do not have to be columns in memory:

# %% [zh]
# 图像来的次序不同，所以两个网络并不相等，但一样好。两者的时间大多花在同样的矩阵乘法上。框架把像素以字节取出、逐批缩放，
# 统计训练正确率，还检查每个损失是否仍是有限数；我们的循环一样也没做。
#
# 有些事用框架只要一个词，手工却很麻烦：换一个优化器、学习率调度、dropout、保存后继续训练。有些事值得亲手做一次：就是
# 上面的全部内容。里面有什么，你现在都看过了。
#
# ## 行、列，以及背后的内存
#
# 上面的 X 是 `rows.T`，它是一个*视图*：没有移动任何数，一幅图像仍在一整块内存里，取 100 幅图像就是复制 100 块。
# `np.ascontiguousarray(rows.T)` 看上去一样，算出来也一样，但这时一幅图像的每个像素各在不同的行里，相隔 240,000 字节，
# 取一幅图像就要从内存各处收集 784 个数。公式里的列，不必是内存里的列：

# %%
scattered = np.ascontiguousarray(X)
picked = np.random.default_rng(0).permutation(X.shape[1])[:10_000].reshape(100, 100)
seconds = {}
for name, array in (("X = rows.T", X), ("np.ascontiguousarray(rows.T)", scattered)):
    began = time.perf_counter()
    for batch in picked:
        array[:, batch]
    seconds[name] = time.perf_counter() - began
    print(f"100 batches from {name:29} {1000 * seconds[name]:6.1f} ms")
same = np.array_equal(X[:, picked[0]], scattered[:, picked[0]])
print("the same numbers" if same else "other numbers")

# %% [en]
# ## The mistakes
#
# An accuracy is one number; look at what is behind it. Here are the errors of the framework's network of which it was
# most certain. Some of them are the network's fault, some make one wonder about the label.

# %% [zh]
# ## 错在哪里
#
# 正确率只是一个数，要看看它背后是什么。下面是框架的网络错得最有把握的那些图像。有些确实怪网络，有些则让人怀疑标签。

# %%
P = softmax(trainer.predict(test_rows).T)
guesses = P.argmax(axis=0)
wrong = np.flatnonzero(guesses != test_labels)
surest = wrong[np.argsort(-P[guesses[wrong], wrong])][:12]
confused = np.zeros((10, 10), int)
np.add.at(confused, (test_labels[wrong], guesses[wrong]), 1)
truth, guess = np.unravel_index(confused.argmax(), confused.shape)
print(f"{len(wrong)} mistakes in {len(test_labels):,}; the most frequent: {truth} taken for {guess}, "
      f"{confused.max()} times")
print(f"average certainty where it is right {P.max(axis=0)[guesses == test_labels].mean():.1%}, "
      f"where it is wrong {P.max(axis=0)[wrong].mean():.1%}")

figure, axes = panels(6, 2, size=(1.5, 1.7))
for each, i in zip(axes, surest, strict=True):
    each.imshow(test_rows[i].reshape(28, 28), cmap="gray_r")
    each.set_axis_off()
    each.set_title(f"{test_labels[i]}, taken for {guesses[i]}", fontsize=8)
save(figure, "10-mistakes")

# %% [en]
# ## Written down once
#
# Every step of the loop by hand makes the same calls in the same order; only the numbers are others.
# `chainrule.compile` looks on while two steps run, writes down each gate, and from the third step on runs the list. The
# step stays as it is written, on arrays. What one wants to look at, here the loss, has to be returned, since nothing of
# Python is left.

# %% [zh]
# ## 只记一次
#
# 手写循环的每一步都以同样的次序做同样的计算，只是数不同。`chainrule.compile` 看着头两步运行，把每个门记下来，从第三步
# 起就直接执行这张清单。步骤照原样写，用的就是数组。想看的东西（这里是损失）要作为结果返回，因为清单里不再有 Python
# 代码。

# %%
import chainrule as cr


def step(X, Y, parameters):
    Z, caches = forward(X, parameters)
    top = Z.max(axis=0)
    loss = np.mean(top + np.log(np.exp(Z - top).sum(axis=0)) - (Z * Y).sum(axis=0))
    return loss, update_parameters(parameters, backward(Z, Y, caches), learning_rate)


last_losses = {}
for name, run in (("as it stands", step), ("compiled", cr.compile(step))):
    parameters = dict(first_weights)
    for i, batch in enumerate(picked):
        if i == 2:
            began = time.perf_counter()
        loss, parameters = run(X[:, batch], Y[:, batch], parameters)
    milliseconds = 1000 * (time.perf_counter() - began) / (len(picked) - 2)
    last_losses[name] = float(loss)
    print(f"{name:12}  loss of step {len(picked)}: {last_losses[name]:.4f}, "
          f"{milliseconds:.2f} ms a step from the third on")

# %% [en]
# ## Exercises
#
# 1. Write `optim.Adam(model.parameters(), lr=0.001)` instead of SGD. Then give the loop by hand Adam as well (you wrote
#    it in an exercise of chapter 9). How many lines does each take?
# 2. Let `Y = np.eye(10)[:, labels]` be float64. Measure the time of an epoch, and find the first float64 array.
# 3. Feed the raw bytes, 0 to 255. Which learning rate works? Which does batch normalisation allow?
# 4. Choose the number of hidden units. Do not use the test images for it: hold back 10,000 of the training images.
# 5. `chainrule train --data mnist` gets further with a network of this kind. What does it do that we do not?

# %% [zh]
# ## 练习
#
# 1. 把 SGD 换成 `optim.Adam(model.parameters(), lr=0.001)`；再给手写的循环也配上 Adam（你在第 9 章的练习里写过它）。
#    各要多少行？
# 2. 让 `Y = np.eye(10)[:, labels]` 成为 float64。测一轮用时，并找出第一个 float64 数组。
# 3. 直接输入 0 到 255 的原始字节。哪些学习率可用？加上批归一化之后呢？
# 4. 选择隐藏单元的个数。不要用测试图像来选：从训练图像里留出 10,000 幅。
# 5. `chainrule train --data mnist` 用同类的网络做得更好。它做了哪些我们没做的事？
