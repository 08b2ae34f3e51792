# about 45 s, 7 s with --quick
# ruff: noqa: NPY002
# %% [en]
# # 2. The two-layer network
#
# Handwritten digits, 28×28 pixels each; ten classes. The network that most people write first gets about 97 of 100
# right. It is made of three layers and a loss:
#
#     H = max(0, X·W₁ + b₁)        Affine1, Relu1
#     S = H·W₂ + b₂                Affine2: ten scores for each image
#     P = softmax(S)               pₖ = exp(sₖ) / Σ exp(sⱼ): scores become probabilities
#     L = −mean(ln p_t)            t is the true class: the loss is how surprised the network is by the truth
#
# One sample is one row of X, W₁ is (784, 50), and W₂ is (50, 10).
#
# The first time, the data are downloaded (11.6 MB). If you have them already, let the environment variable
# CHAINRULE_DATA name their folder.

# %% [zh]
# # 2. 两层网络
#
# 手写数字，每个 28×28 像素，分十类。多数人写的第一个网络，100 个里大约能认对 97 个。它由三个层和一个损失组成：
#
#     H = max(0, X·W₁ + b₁)        Affine1, Relu1
#     S = H·W₂ + b₂                Affine2：每幅图像十个得分
#     P = softmax(S)               pₖ = exp(sₖ) / Σ exp(sⱼ)：把得分变成概率
#     L = −mean(ln p_t)            t 是真实类别：损失就是网络面对真相时的“惊讶程度”
#
# X 的一行是一个样本，W₁ 是 (784, 50)，W₂ 是 (50, 10)。
#
# 第一次运行时会下载数据（11.6 MB）。如果已经有了，就用环境变量 CHAINRULE_DATA 指出它们所在的文件夹。

# %%
import numpy as np

from chainrule import data
from chainrule.by_hand.layers import Affine, Relu, SoftmaxWithLoss
from chainrule.by_hand.pictures import lines, panels
from chainrule.by_hand.reading import quick, save
from chainrule.by_hand.two_layer_net import TwoLayerNet

train, test = data.mnist()
x_train, t_train = train[:]                              # float32 from 0 to 1, and the classes 0 … 9
x_test, t_test = test[:]
print(f"x_train {x_train.shape}   t_train {t_train.shape}   x_test {x_test.shape}   t_test {t_test.shape}")

# %% [en]
# ## Forward through the layers, backward through the layers
#
# Each layer knows two things: what comes out for what goes in, and how to turn the gradient of what came out into the
# gradient of what went in. So the whole of backpropagation is one loop forward and one loop in reverse. Affine leaves
# the gradients of its own parameters in dW and db on the way.

# %% [zh]
# ## 逐层向前，逐层向后
#
# 每一层只知道两件事：给什么输入，出什么结果；以及怎样把结果的梯度变成输入的梯度。所以整个反向传播就是一个正着走的循环，
# 加一个倒着走的循环。Affine 顺路把自己参数的梯度放在 dW 和 db 里。

# %%
np.random.seed(0)
W1, b1 = 0.01 * np.random.randn(784, 50), np.zeros(50)
W2, b2 = 0.01 * np.random.randn(50, 10), np.zeros(10)
layers = [Affine(W1, b1), Relu(), Affine(W2, b2)]
last = SoftmaxWithLoss()

x = x_train[:100]
for layer in layers:
    x = layer.forward(x)
first_loss = last.forward(x, t_train[:100])

dout = last.backward(1)
for layer in reversed(layers):
    dout = layer.backward(dout)

print(f"loss {first_loss:.4f};  ln 10 = {np.log(10):.4f}: who knows nothing gives each class 1/10")
print(f"dW1 {layers[0].dW.shape}   db1 {layers[0].db.shape}   dW2 {layers[2].dW.shape}   db2 {layers[2].db.shape}")

# %% [en]
# `TwoLayerNet` is these lines in a class: `params`, `layers`, `lastLayer`, and `gradient(x, t)` runs both loops. It
# draws its weights in the same order, so the same seed gives the same numbers.

# %% [zh]
# `TwoLayerNet` 就是把这几行装进一个类：`params`、`layers`、`lastLayer`，而 `gradient(x, t)` 跑的就是这两个循环。它抽取
# 权重的次序相同，所以同一个随机种子给出同样的数。

# %%
np.random.seed(0)
net = TwoLayerNet(input_size=784, hidden_size=50, output_size=10, weight_init_std=0.01)
grads = net.gradient(x_train[:100], t_train[:100])
same = all(np.array_equal(grads[key], mine) for key, mine in
           {"W1": layers[0].dW, "b1": layers[0].db, "W2": layers[2].dW, "b2": layers[2].db}.items())
print("TwoLayerNet gives", "the same gradients" if same else "other gradients")

# %% [en]
# ## Is the gradient right?
#
# Before training, a check: nudge each of the 39,760 parameters up and down a little, and compare the slope of the loss
# with the gradient. That is about 80,000 losses, so three images have to do. In float64, please: in float32 the
# difference of two nearly equal losses is mostly rounding.

# %% [zh]
# ## 梯度对吗？
#
# 训练之前先检验：把 39,760 个参数一个一个地上下拨动一点，拿损失的斜率和梯度比较。这要算大约 80,000 次损失，所以只用三幅
# 图像。请用 float64：在 float32 里，两个几乎相等的损失相减，剩下的多半是舍入误差。

# %%
np.random.seed(0)
checked = TwoLayerNet(784, 5 if quick() else 50, 10, weight_init_std=0.01)
few_x, few_t = x_train[:3].astype(np.float64), t_train[:3]
numeric = checked.numerical_gradient(few_x, few_t)
analytic = checked.gradient(few_x, few_t)
differences = {key: np.abs(analytic[key] - numeric[key]).mean() for key in numeric}
for key, difference in differences.items():
    print(f"{key}: mean absolute difference {difference:.1e}, where the gradient is about "
          f"{np.abs(analytic[key]).mean():.1e}")

# %% [en]
# Less than 1e-7 is what textbooks ask for, and we are far below it. But beware of the mean. It is taken over tens of
# thousands of elements, and one of them can be completely wrong without being noticed. Let us spoil one on purpose, by
# changing its sign:

# %% [zh]
# 教科书要求小于 1e-7，我们远低于它。不过要当心“平均”二字：它是对几万个元素取的平均，其中一个完全错了也看不出来。我们
# 故意弄坏一个，把它的正负号改掉：

# %%
spoiled = analytic["W1"].copy()
hidden_well = np.abs(spoiled) < 4e-8 * spoiled.size      # as large as the mean can hide
spoiled[np.unravel_index(np.argmax(np.where(hidden_well, np.abs(spoiled), 0)), spoiled.shape)] *= -1
spoiled_mean = np.abs(spoiled - numeric["W1"]).mean()
spoiled_largest = np.abs(spoiled - numeric["W1"]).max()
print(f"one sign of W1 wrong: mean absolute difference {spoiled_mean:.1e}, largest {spoiled_largest:.1e}")

# %% [en]
# The mean still passes as good; the largest difference does not. `chainrule.check_gradients` looks at every element,
# relative to its size, and says which one is wrong.
#
# ## Training
#
# Take 100 images at random, compute the gradient, take a step against it; 10,000 times. Training does well in float32,
# at half the memory. The arrays in `params` are those that the layers use, so `-=` is all there is to an update.

# %% [zh]
# 平均值看上去仍然合格，最大差却不合格。`chainrule.check_gradients` 会按各自的大小检查每个元素，并说出错的是哪一个。
#
# ## 训练
#
# 随机取 100 幅图像，算梯度，逆着梯度走一步；重复 10,000 次。训练用 float32 就够好，内存省一半。`params` 里的数组正是
# 各层所用的数组，所以更新参数只需要一个 `-=`。

# %%
iterations, batch_size, learning_rate = 1200 if quick() else 10_000, 100, 0.1
epoch = len(x_train) // batch_size                       # 600 steps


def network(weight_init_std, seed=0):
    np.random.seed(seed)
    net = TwoLayerNet(input_size=784, hidden_size=50, output_size=10, weight_init_std=weight_init_std)
    for key in net.params:
        net.params[key] = net.params[key].astype(np.float32)
    return net


def fit(net, show=True):
    """Train; return the loss and the relative length of the step of W1 each time, and the accuracies by epoch."""
    history = {"loss": [], "step": [], "epoch": [], "train": [], "test": []}
    for i in range(iterations + 1):
        if (show and i % epoch == 0) or i == iterations:
            history["epoch"].append(i / epoch)
            history["train"].append(net.accuracy(x_train, t_train))
            history["test"].append(net.accuracy(x_test, t_test))
            if show:
                print(f"epoch {i / epoch:4.1f}   train {history['train'][-1]:7.2%}   test {history['test'][-1]:7.2%}")
        if i == iterations:
            break
        batch = np.random.choice(len(x_train), batch_size)
        grads = net.gradient(x_train[batch], t_train[batch])
        history["loss"].append(float(net.lastLayer.loss))
        history["step"].append(learning_rate * np.linalg.norm(grads["W1"]) / np.linalg.norm(net.params["W1"]))
        for key in ("W1", "b1", "W2", "b2"):
            net.params[key] -= learning_rate * grads[key]
    return history


small = network(weight_init_std=0.01)
small_W1 = small.params["W1"].copy()
print("weights × 0.01")
small_history = fit(small)
window = np.ones(50) / 50                                # the mean over 50 batches: a single one is mostly noise
smooth = np.convolve(small_history["loss"], window, "valid")
figure = lines({"batch by batch": small_history["loss"], "mean of 50": smooth}, "Loss, weights × 0.01", x="iteration",
               log="y")
figure.axes[0].lines[0].set(linewidth=0.3, alpha=0.6)
save(figure, "02-loss")

# %% [en]
# Training and test accuracy stay close together: the network did not learn the images by heart.
#
# A word about "epoch". `np.random.choice` draws *with* replacement, as this loop is usually printed. After 600 batches
# of 100 the network has not seen each of the 60,000 images once: some came twice or more often, and a share of 1/e
# never, which is 37 %. It does little harm, but only `np.random.permutation` makes an epoch a full round (chapter 10).

# %% [zh]
# 训练正确率和测试正确率一直很接近：网络并没有把图像背下来。
#
# 关于“轮”（epoch）说一句。这个循环通常印成用 `np.random.choice`，它是*有放回*抽样。600 批、每批 100 幅之后，网络并没有
# 把 60,000 幅图像各看一遍：有的来了两次甚至更多，而有 1/e，也就是 37% 的图像一次也没出现。这没有多大害处，但只有用
# `np.random.permutation`（见第 10 章），一轮才是完整的一轮。

# %%
seen = len(np.unique(np.random.choice(len(x_train), len(x_train)))) / len(x_train)
print(f"share of the images that come up in 60,000 draws: {seen:.1%}")

# %% [en]
# ## The same network with weights from the unit normal distribution
#
# Many printed versions leave out the factor 0.01. Everything else is as before: layers, loop, rate, data. The gradient
# is right as well.

# %% [zh]
# ## 同一个网络，权重取自标准正态分布
#
# 不少印出来的版本漏掉了 0.01 这个因子。其余一切照旧：层、循环、学习率、数据，梯度也是对的。

# %%
large = network(weight_init_std=1.0)
large_W1 = large.params["W1"].copy()
print("weights × 1")
large_history = fit(large)

figure, (left, right) = panels(2)
lines({name: np.convolve(each["loss"], window, "valid") for name, each in
       {"weights × 0.01": small_history, "weights × 1": large_history}.items()},
      "Loss", x="iteration", log="y", axes=left)
lines({"× 0.01, train": (small_history["epoch"], small_history["train"]),
       "× 0.01, test": (small_history["epoch"], small_history["test"]),
       "× 1, train": (large_history["epoch"], large_history["train"]),
       "× 1, test": (large_history["epoch"], large_history["test"])}, "Accuracy", x="epoch", axes=right)
right.set_ylim(0.7, 1)
save(figure, "02-accuracy")

# %% [en]
# About 91 % instead of 97 %, and on the *training* images too. So this is not overfitting; it has not learned enough.
# Why?
#
# ## First suspect: the scores
#
# An image has a length of about ‖x‖ ≈ 9, so with unit-normal weights a hidden sum has that standard deviation. ReLU
# lets half of them through, and 50 of these make a score: ‖x‖·√(50/2) ≈ 46. Scores as far apart as that are certainty,
# one class with probability 1 and nine with 0, in an untrained network. It is sure, and mostly wrong; hence a first
# loss of dozens, where knowing nothing costs ln 10 ≈ 2.3.
#
# One often reads that such a softmax is *saturated* and lets no gradient through. For an image that is classified
# wrongly the opposite is true: the gradient of the loss by the scores is P − T, and nowhere is it larger than where the
# network is sure and wrong. Look at the lengths of the gradients:

# %% [zh]
# 约 91%，而不是 97%，而且在*训练*图像上也是如此。所以这不是过拟合，而是学得不够。为什么？
#
# ## 第一个嫌疑：得分
#
# 一幅图像的长度 ‖x‖ 约为 9，用标准正态权重时，隐藏层加权和的标准差就是这么大。ReLU 放行其中一半，50 个这样的数组成一个
# 得分：‖x‖·√(50/2) ≈ 46。得分相差这么多，就意味着“确信”：一个类别概率为 1，九个为 0，而这是一个还没训练的网络。它很有
# 把握，而且大多是错的；所以最初的损失有几十，而一无所知的代价只有 ln 10 ≈ 2.3。
#
# 常有人说，这样的 softmax *饱和*了，梯度传不过去。对分错的图像来说，事实恰恰相反：损失对得分的梯度是 P − T，网络又有
# 把握又错的时候，它最大。看看梯度的长度：

# %%
def at_the_start(weight_init_std):
    """Return what an untrained network is like on 1,000 images."""
    net = network(weight_init_std)
    x, t = x_train[:1000], t_train[:1000]
    scores = net.predict(x)
    grads = net.gradient(x, t)
    probability = net.lastLayer.y
    return {"loss": float(net.lastLayer.loss), "score": float(scores.std()),
            "sure": float(np.mean(probability.max(axis=1) > 0.999)),
            "dW1": float(np.linalg.norm(grads["W1"])), "W1": float(np.linalg.norm(net.params["W1"]))}


lengths = np.linalg.norm(x_train[:1000], axis=1)
print(f"average ‖x‖ = {lengths.mean():.1f}, so with unit-normal weights scores of about "
      f"{np.sqrt(np.mean(lengths ** 2) * 50 / 2):.0f}")
start = {std: at_the_start(std) for std in (0.01, 1.0)}
print("weights    loss   scores   sure at 99.9 %   ‖dW1‖    ‖W1‖")
for std, each in start.items():
    print(f"× {std:<5} {each['loss']:8.3f} {each['score']:8.3f} {each['sure']:16.0%} {each['dW1']:7.2f} "
          f"{each['W1']:8.1f}")

# %% [en]
# With unit-normal weights the gradient is not smaller but many times larger. And the loss curve above shows that the
# certainty is unlearned within a few hundred steps. It cannot be what is still missing after 10,000.
#
# ## Second suspect: W₁ hardly moves
#
# Compare the step with what is to be changed. W₁ is a hundred times as long as in the other network, and once the
# scores have calmed down, W₂ is short and the gradient that it sends back to W₁ is small. In proportion to its length
# W₁ moves much less at each step. Over the whole training:

# %% [zh]
# 用标准正态权重时，梯度不是变小了，而是大了许多倍。而且上面的损失曲线表明，几百步之内这种盲目的把握就被纠正了。
# 10,000 步之后还缺的东西，不可能是它。
#
# ## 第二个嫌疑：W₁ 几乎没动
#
# 把步长和要改变的东西比一比。W₁ 的长度是另一个网络的一百倍；而得分平静下来以后，W₂ 变短，传回给 W₁ 的梯度也小。按长度的
# 比例来看，W₁ 每一步移动得少得多。整个训练下来：

# %%
moved = {}
for name, net, W1_before, history in (("× 0.01", small, small_W1, small_history),
                                      ("× 1", large, large_W1, large_history)):
    moved[name] = np.linalg.norm(net.params["W1"] - W1_before) / np.linalg.norm(W1_before)
    print(f"weights {name:6}  W1 moved by {moved[name]:7.1%} of its first length;  "
          f"a step is {np.median(history['step']):.2%} of its length then (median)")

limits = {"× 0.01": 0.5, "× 1": 2.5}
figure, axes = panels(6, 2, size=(1.6, 1.7))
for row, (name, net) in enumerate({"× 0.01": small, "× 1": large}.items()):
    busiest = np.argsort(-np.linalg.norm(net.params["W2"], axis=1))[:6]
    for unit, each in zip(busiest, axes[6 * row:6 * row + 6], strict=True):
        each.imshow(net.params["W1"][:, unit].reshape(28, 28), cmap="coolwarm", vmin=-limits[name], vmax=limits[name])
        each.set_axis_off()
        each.set_title(f"{name}, unit {unit}", fontsize=8)
save(figure, "02-weights")

# %% [en]
# The figure shows what six hidden units look for, those with the longest weights in W₂. Above, with weights × 0.01, one
# sees strokes and curves: what the data taught them. Below one sees the snow of the random numbers they were born with;
# what they learned is hidden in it. Such a network reads digits through 50 almost random masks.
#
# ## The decisive experiment
#
# If the scores were the cause, small weights in the second layer would be a cure: the scores begin small, nobody is
# sure, the first loss is near ln 10. If W₁ is the cause, that changes nothing in the end.

# %% [zh]
# 图中是六个隐藏单元各自在找什么，取的是在 W₂ 中权重最长的六个。上排（权重 × 0.01）看得到笔画和弧线：那是数据教给它们
# 的。下排看到的是它们与生俱来的随机数，像一片雪花，学到的东西埋在里面。这样的网络，是透过 50 块几乎随机的蒙版来认
# 数字的。
#
# ## 决定性的实验
#
# 如果原因在得分，那么只要让第二层的权重小就能治好：得分一开始就小，谁也没有把握，最初的损失接近 ln 10。如果原因在 W₁，
# 那么到头来什么也不会改变。

# %%
mixed = network(weight_init_std=1.0)
mixed.params["W2"] *= 0.01
mixed_history = fit(mixed, show=False)
print("W1       W2       first loss   train     test")
for name, history in (("× 0.01   × 0.01", small_history), ("× 1      × 1", large_history),
                      ("× 1      × 0.01", mixed_history)):
    print(f"{name:18} {history['loss'][0]:9.3f}  {history['train'][-1]:6.2%}   {history['test'][-1]:6.2%}")

# %% [en]
# It is W₁. The large scores are what one sees first, and they explain the first loss; but the lasting damage is that
# the first layer cannot forget what it was born with. 0.01 is small enough here. It is not a magic number either: in
# deeper networks it is far too small (chapter 8), and the right size follows from the number of inputs (chapter 9).
#
# ## Exercises
#
# 1. Try 0.001, 0.1 and √(2/784) for the weights. Which is best after one epoch, which after the last?
# 2. With unit-normal weights, try the rate 1. What do the first losses do, and what is the accuracy in the end? Explain
#    both by the table of steps.
# 3. Replace `np.random.choice` by shuffled rounds in which each image comes once. Is there a difference?
# 4. Put a third affine layer into `net.layers`, with a ReLU before it, and extend `gradient`. Check it first.
# 5. Make `SoftmaxWithLoss.backward` forget to divide by the number of samples. Which learning rate then gives the same
#    training?

# %% [zh]
# 原因是 W₁。过大的得分最先引人注意，也确实解释了最初的损失；但持久的损害在于，第一层忘不掉与生俱来的东西。在这里 0.01
# 足够小。但它也不是什么神奇的数：在更深的网络里它远远太小（第 8 章），而合适的大小要由输入的个数来定（第 9 章）。
#
# ## 练习
#
# 1. 权重试试 0.001、0.1 和 √(2/784)。一轮之后哪个最好？最后呢？
# 2. 用标准正态权重，学习率取 1。最初的损失会怎样？最后的正确率是多少？用上面步长的表来解释这两点。
# 3. 把 `np.random.choice` 换成打乱次序的完整轮次，每幅图像恰好来一次。有区别吗？
# 4. 在 `net.layers` 里加上第三个仿射层，前面再加一个 ReLU，并扩充 `gradient`。先做梯度检验。
# 5. 让 `SoftmaxWithLoss.backward` 忘记除以样本数。这时用多大的学习率，训练过程会完全一样？
