# about 2 s

# %% [en]
# # 7. Losses
#
# A network learns what its loss asks for, and nothing else. A loss turns a prediction and the truth into one number:
# 0 where they agree, larger the worse they differ, with a slope that tells the network which way to go.
#
# In this chapter y is the truth and ŷ ("y hat") the prediction.
#
# ## Numbers: the mean squared error
#
#     L = 1/n · Σ (ŷᵢ − yᵢ)²        ∂L/∂ŷᵢ = 2/n · (ŷᵢ − yᵢ)
#
# An error twice as large costs four times as much, so one outlier can outweigh everything else. The slope is
# proportional to the error: far away the network takes long steps, near the target short ones.

# %% [zh]
# # 7. 损失函数
#
# 损失函数要求什么，网络就学什么，别的一概不学。它把预测和真实情况变成一个数：两者一致时为 0，相差越大数越大；它的斜率
# 告诉网络该往哪边走。
#
# 本章用 y 表示真实值，ŷ（读作“y 帽”）表示预测值。
#
# ## 预测数值：均方误差
#
#     L = 1/n · Σ (ŷᵢ − yᵢ)²        ∂L/∂ŷᵢ = 2/n · (ŷᵢ − yᵢ)
#
# 误差变成两倍，代价就变成四倍，所以一个离群点就可能盖过其余所有样本。斜率与误差成正比：离目标远时步子大，
# 离得近时步子小。

# %%
import numpy as np

from chainrule import functional as F
from chainrule import grad, nn
from chainrule.by_hand.pictures import lines, panels
from chainrule.by_hand.reading import save

truth = np.array([3.0, 5.0, 2.0, 8.0])
prediction = np.array([2.5, 5.0, 4.0, 7.0])
squares = (prediction - truth) ** 2
mse = np.mean(squares)
mse_slope = 2 * (prediction - truth) / len(truth)
print("squared errors", squares)
print(f"their mean     {mse:.4f}")
print("slope by hand ", mse_slope)

loss = nn.MSELoss()
print(f"nn.MSELoss     {loss.forward(prediction, truth):.4f}")
print("backward      ", loss.backward())

# %% [en]
# ## Yes or no: binary cross-entropy
#
# Now the truth is 1 (yes) or 0 (no), and the prediction ŷ is the probability of yes. Take the probability that the
# prediction gave to what really happened, and charge its negative logarithm:
#
#     L = −(y·ln ŷ + (1 − y)·ln(1 − ŷ))
#
# One of the two terms is always switched off by its factor 0. Who said 1 and was right pays nothing; who gave the truth
# a probability near 0 pays without limit. Between the two, 0.88 for the truth costs 0.128:

# %% [zh]
# ## 是或否：二元交叉熵
#
# 现在真实值是 1（是）或 0（否），预测 ŷ 是“是”的概率。看预测给了真实发生的事多大的概率，收取它的负对数：
#
#     L = −(y·ln ŷ + (1 − y)·ln(1 − ŷ))
#
# 两项中总有一项被因子 0 关掉。说了 1 而且说对的，不用付钱；给真相的概率接近 0 的，要付的钱没有上限。在两者之间，给真相
# 0.88 的代价是 0.128：

# %%
print("probability of the truth        loss")
limits = {}
for p in (1.0, 1 - 1e-9, 0.99, 0.88, 0.5, 0.1, 1e-3, 1e-9, 1e-300):
    limits[p] = float(0.0 - np.log(p))                    # not −ln p, which is −0.0 for p = 1
    print(f"{p:24.10g} {limits[p]:11.3g}")
with np.errstate(divide="ignore"):
    limits[0.0] = float(-np.log(0.0))
print(f"{0.0:24g} {limits[0.0]:11g}")

# %% [en]
# The last line is a trap. A probability in floating point can become exactly 0, the loss infinite, and then the formula
# above, which multiplies this infinity by 0 for the other class, is not a number any more. `nn.BCELoss` stops at 100,
# as PyTorch does. The better remedy is to hand the loss the *score* z instead of ŷ = σ(z):
# `nn.BCEWithLogitsLoss` never computes the probability, and is right for any score.

# %% [zh]
# 最后一行是个陷阱。浮点数里的概率可能恰好变成 0，损失就成了无穷大；上面的公式还要为另一类把这个无穷大乘以 0，结果连数都
# 不是了（NaN）。`nn.BCELoss` 和 PyTorch 一样，到 100 为止。更好的办法是把*得分* z 而不是 ŷ = σ(z) 交给损失函数：
# `nn.BCEWithLogitsLoss` 根本不计算概率，对任何得分都正确。

# %%
certain, happened = np.array([0.0]), np.array([0.0])          # "surely no", and it was no
with np.errstate(divide="ignore", invalid="ignore"):
    naive = float(-np.mean(happened * np.log(certain) + (1 - happened) * np.log(1 - certain)))
careful = float(nn.BCELoss().forward(certain, happened))
wrong_and_sure = float(nn.BCELoss().forward(certain, np.array([1.0])))
from_score = float(nn.BCEWithLogitsLoss().forward(np.array([-1e4]), np.array([1.0])))
print(f"a perfect prediction, by the formula as it stands: {naive}")
print(f"by nn.BCELoss:                                     {careful}")
print(f"sure and wrong, by nn.BCELoss:                     {wrong_and_sure}")
print(f"sure and wrong, from the score −10⁴:               {from_score}")

# %% [en]
# ## Why not squared errors for probabilities?
#
# Let ŷ = σ(z) and the truth be 1. By the chain rule of chapter 6:
#
#     squared error    (ŷ − 1)²     ∂L/∂z = 2(ŷ − 1) · ŷ(1 − ŷ)
#     cross-entropy    −ln ŷ        ∂L/∂z = (−1/ŷ) · ŷ(1 − ŷ) = ŷ − 1
#
# In the second line the slope of the sigmoid cancels. In the first it stays, and it is nearly 0 just where the network
# is sure and wrong: there it has most to learn, and learns nothing.

# %% [zh]
# ## 预测概率，为什么不用平方误差？
#
# 设 ŷ = σ(z)，真实值是 1。按第 6 章的链式法则：
#
#     平方误差    (ŷ − 1)²     ∂L/∂z = 2(ŷ − 1) · ŷ(1 − ŷ)
#     交叉熵      −ln ŷ        ∂L/∂z = (−1/ŷ) · ŷ(1 − ŷ) = ŷ − 1
#
# 第二行里，sigmoid 的斜率消掉了。第一行里它还在，而且恰恰在网络“自信而错误”的地方几乎为 0：最该学的时候，什么也学不到。

# %%
def slope_of_square(z):
    """Return the slope of (σ(z) − 1)² by z."""
    p = 1 / (1 + np.exp(-z))
    return 2 * (p - 1) * p * (1 - p)


def slope_of_entropy(z):
    """Return the slope of −ln σ(z) by z."""
    return 1 / (1 + np.exp(-z)) - 1


one = np.array([1.0])
slopes = {}
print("    z   slope of the square   slope of the cross-entropy")
for z in (-10.0, -4.0, 0.0, 4.0):
    slopes[z] = (float(slope_of_square(z)), float(slope_of_entropy(z)))
    print(f"{z:5.0f} {slopes[z][0]:21.6f} {slopes[z][1]:28.6f}")
by_framework = (grad(lambda z: F.mse_loss(F.sigmoid(z), one))(np.array([-4.0])).item(),
                grad(lambda z: F.binary_cross_entropy_with_logits(z, one))(np.array([-4.0])).item())
print(f"the framework at −4: {by_framework[0]:.6f} and {by_framework[1]:.6f}")

p, z = np.linspace(0.002, 1, 500), np.linspace(-8, 8, 401)
figure, (left, right) = panels(2)
lines({"cross-entropy −ln ŷ": (p, -np.log(p)), "squared error (ŷ − 1)²": (p, (p - 1) ** 2)}, "The truth is 1",
      x="prediction ŷ", y="loss", axes=left)
left.plot(0.88, -np.log(0.88), "ko")
left.annotate(f"0.88 costs {-np.log(0.88):.3f}", (0.88, -np.log(0.88)), (0.55, 1.5), arrowprops={"arrowstyle": "->"})
lines({"cross-entropy": (z, slope_of_entropy(z)), "squared error": (z, slope_of_square(z))},
      "The slope that arrives at z", x="score z", y="∂L/∂z", axes=right)
save(figure, "07-binary")

# %% [en]
# ## One of several: categorical cross-entropy
#
# Five animals. A network gives every picture five probabilities, which add up to 1. The truth is a row of zeros with a
# single 1 ("one-hot"), so that of the sum over classes one term is left:
#
#     L = −Σ y_c · ln ŷ_c = −ln ŷ_true
#
# Only the probability of the true class counts. How the rest is spread over the wrong classes makes no difference.

# %% [zh]
# ## 多选一：分类交叉熵
#
# 五种动物。网络对每张图给出五个概率，加起来是 1。真实情况是一行 0 里有一个 1（“独热”编码），所以对类别的求和只剩一项：
#
#     L = −Σ y_c · ln ŷ_c = −ln ŷ_真
#
# 只有真实类别的概率算数。其余的概率在错误的类别之间怎么分，没有区别。

# %%
animals = ["dog", "cat", "horse", "sheep", "cow"]
probabilities = np.array([[0.88, 0.02, 0.03, 0.04, 0.03],
                          [0.20, 0.70, 0.04, 0.03, 0.03],
                          [0.05, 0.02, 0.40, 0.18, 0.35],
                          [0.02, 0.01, 0.05, 0.90, 0.02],
                          [0.05, 0.05, 0.60, 0.15, 0.15]])
one_hot = np.eye(5)                                   # the first picture shows a dog, the second a cat, …
costs = -np.sum(one_hot * np.log(probabilities), axis=1)
print("picture of  " + "".join(f"{animal:>7}" for animal in animals) + "     loss")
for animal, row, each in zip(animals, probabilities, costs, strict=True):
    print(f"{'a ' + animal:12}" + "".join(f"{value:7.2f}" for value in row) + f"{each:9.3f}")
print(f"{'mean':47}{costs.mean():9.3f}")

classes = np.arange(5)                                # the same truth as indices
by_index = F.nll_loss(np.log(probabilities), classes, reduction="none")
print("with classes as indices:", np.array2string(by_index, precision=3))
print(f"knowing nothing, 1/5 for each: ln 5 = {np.log(5):.3f}")

figure, (axes,) = panels(size=(6.4, 3.6))
axes.bar(animals, costs, color=["#1f6feb" if animal != "cow" else "#d1495b" for animal in animals])
axes.axhline(np.log(5), color="#8c8c8c", linestyle="--")
axes.annotate("ln 5: knowing nothing", (-0.4, np.log(5)), (-0.4, np.log(5) + 0.05))
axes.set_title("Cross-entropy of each picture: the cow was taken for a horse", loc="left", fontsize=11)
axes.set_ylim(0, 2.1)
save(figure, "07-animals")

# %% [en]
# The last number is worth remembering. An untrained network with C classes should begin near ln C. If its first loss is
# far above that, its scores are too large at the start: look at the initialisation (chapters 2 and 9).
#
# ## Softmax and cross-entropy together
#
# The probabilities come from scores by softmax, ŷ_c = e^(s_c) / Σ e^(s_k). Then ln ŷ_t = s_t − ln Σ e^(s_k), and the
# slope by each score is as simple as it was above: the prediction minus the truth.
#
#     ∂L/∂s_c = ŷ_c − y_c

# %% [zh]
# 最后一个数值得记住：没有训练过的 C 类网络，损失应该从 ln C 附近开始。要是第一个损失远高于它，说明一开始得分就太大：
# 去看看初始化（第 2 章和第 9 章）。
#
# ## softmax 与交叉熵合在一起
#
# 概率由得分经过 softmax 得到：ŷ_c = e^(s_c) / Σ e^(s_k)。于是 ln ŷ_t = s_t − ln Σ e^(s_k)，对每个得分的斜率和前面一样
# 简单：预测减去真实。
#
#     ∂L/∂s_c = ŷ_c − y_c

# %%
scores = np.log(probabilities)                        # softmax of these gives the table back
entropy = nn.CrossEntropyLoss()
mean_cost = float(entropy.forward(scores, classes))
d_scores = entropy.backward()
print(f"nn.CrossEntropyLoss: {mean_cost:.3f}")
print("its gradient, times the 5 pictures:")
print(np.array2string(5 * d_scores, precision=2, suppress_small=True))
score_difference = np.abs(d_scores - (probabilities - one_hot) / 5).max()
print(f"largest difference from (ŷ − y)/5: {score_difference:.1e}")

# %% [en]
# ## What averaging over the batch does
#
# The loss of a batch is the *mean* of its samples' losses. With the sum instead, a batch twice as large has a gradient
# twice as large, and the learning rate that was right for 32 samples is too long for 64. The mean has the same size
# whatever the batch.
#
# Here a common presentation is wrong. It writes `-np.mean(np.sum(y * np.log(p)))`: `np.sum` without an axis has
# already made one number of the whole batch, and the mean of one number is that number. Nothing is averaged. The sum
# belongs to the classes (`axis=1`), the mean to the samples.

# %% [zh]
# ## 对一批样本取平均有什么作用
#
# 一批样本的损失是各样本损失的*平均*。如果改用总和，批量加倍，梯度也加倍，适合 32 个样本的学习率对 64 个样本就太大了。
# 取平均则不论批量多大，梯度都是一样的量级。
#
# 这里有一种常见的写法是错的：`-np.mean(np.sum(y * np.log(p)))`。不带轴的 `np.sum` 已经把整批变成了一个数，一个数的平均
# 还是它自己，什么也没有平均。求和是对类别的（`axis=1`），平均是对样本的。

# %%
means, sums, gradients = {}, {}, {}
for times in (1, 2):
    p, y = np.tile(probabilities, (times, 1)), np.tile(one_hot, (times, 1))
    means[times] = float(np.mean(-np.sum(y * np.log(p), axis=1)))
    sums[times] = float(-np.mean(np.sum(y * np.log(p))))      # as it is often printed
    print(f"every picture {times}×:  mean {means[times]:.3f},  “mean of the sum” {sums[times]:.3f}")
    for reduction in ("mean", "sum"):
        entropy = nn.CrossEntropyLoss(reduction=reduction)
        entropy.forward(np.log(p), y)
        gradients[reduction, times] = entropy.backward().sum(axis=0)     # of a bias that all pictures share
        print(f"    gradient, {reduction:5}", np.array2string(gradients[reduction, times], precision=3, sign=" "))

# %% [en]
# A second trap: the average of averages is the average only if the batches are equally long. Of five pictures in
# batches of three and two, the two in the short batch count too much. Weight each batch by its length, as `Trainer.fit`
# does for the loss of an epoch.

# %% [zh]
# 第二个陷阱：只有各批一样长时，平均值的平均才等于总平均。五张图分成三张和两张，短的那一批里的两张就占了太大的分量。要按
# 长度给每一批加权，`Trainer.fit` 计算一轮的损失时就是这样做的。

# %%
batches = [costs[:3], costs[3:]]
average_of_averages = float(np.mean([batch.mean() for batch in batches]))
weighted = float(sum(len(batch) * batch.mean() for batch in batches) / len(costs))
print(f"mean over all pictures: {costs.mean():.4f}")
print(f"average of two batches: {average_of_averages:.4f}")
print(f"weighted by length:     {weighted:.4f}")

# %% [en]
# ## log-softmax against the logarithm of softmax
#
# On paper ln softmax(s) is one thing, in floating point it is three:
#
# - as it is defined: e^1000 is too large for a number, ∞/∞ is NaN;
# - with the maximum taken off first, softmax(s) = softmax(s − max s): no overflow, but probabilities below 10⁻³²³
#   become 0, and their logarithm −∞;
# - log-softmax: s − max s − ln Σ e^(s − max s). No probability is formed, and the digits are right.
#
# So a classifier ends in scores, and the loss contains the softmax: `nn.CrossEntropyLoss` takes *scores*. Give it
# probabilities and softmax is applied twice; it runs, and learns badly, because all scores then lie between 0 and 1.

# %% [zh]
# ## log-softmax 与 softmax 的对数
#
# 在纸上 ln softmax(s) 是一回事，在浮点数里却是三回事：
#
# - 照定义计算：e^1000 大得存不下，∞/∞ 是 NaN；
# - 先减去最大值，softmax(s) = softmax(s − max s)：不再溢出，但小于 10⁻³²³ 的概率变成 0，它的对数是 −∞；
# - log-softmax：s − max s − ln Σ e^(s − max s)。从头到尾没有算出概率，数字都是对的。
#
# 所以分类网络以得分结尾，softmax 放在损失里：`nn.CrossEntropyLoss` 要的是*得分*。给它概率，就等于做了两次 softmax；程序
# 照样运行，却学得很差，因为这时所有得分都挤在 0 和 1 之间。

# %%
large = np.array([1000.0, 0.0, -1000.0])
with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
    as_defined = np.log(np.exp(large) / np.exp(large).sum())
    shifted = np.exp(large - large.max())
    with_maximum = np.log(shifted / shifted.sum())
exact = F.log_softmax(large)
print("scores                ", large)
print("as it is defined      ", as_defined)
print("with the maximum off  ", with_maximum)
print("log_softmax           ", exact)
huge = float(F.cross_entropy(np.array([[1e4, -1e4]]), np.array([1])))
print(f"cross-entropy of the scores ±10⁴, the truth being the lower one: {huge:g}")

once = float(F.cross_entropy(10 * one_hot, classes))
softmax_twice = float(F.cross_entropy(F.softmax(10 * one_hot), classes))
print(f"a nearly perfect prediction: {once:.4f} from scores, {softmax_twice:.4f} with softmax applied twice")

# %% [en]
# ## Exercises
#
# 1. Give the truth the probability 0.44 instead of 0.88. By how much does the loss grow, and why by that number,
#    whatever the probability that is halved?
# 2. Derive ∂L/∂s_c = ŷ_c − y_c, for c the true class and for another. Then find it with
#    `chainrule.explain(loss, scores, (0, 0))`.
# 3. Write `log_softmax(s)` with NumPy alone for rows of scores, and compare it with `F.log_softmax` on ±10⁴.
# 4. The mean absolute error, 1/n · Σ |ŷᵢ − yᵢ|: what is its slope? What number minimises it over a set of samples, and
#    what number the mean squared error? (Try 1, 2, 3, 4, 100.)
# 5. What is the smallest loss that a network can reach with softmax applied twice and five classes?
#
# To work on with tests (`chainrule by-hand 7 --copy DIR`): `label_smoothing.py`, a cross-entropy that is content with
# less than certainty, forward and backward.

# %% [zh]
# ## 练习
#
# 1. 把给真相的概率从 0.88 改成 0.44，损失增加多少？为什么不论把哪个概率减半，增加的总是这个数？
# 2. 推导 ∂L/∂s_c = ŷ_c − y_c，分 c 是真实类别和不是真实类别两种情况；再用
#    `chainrule.explain(loss, scores, (0, 0))` 找到它。
# 3. 只用 NumPy 为若干行得分写出 `log_softmax(s)`，在 ±10⁴ 上与 `F.log_softmax` 比较。
# 4. 平均绝对误差 1/n · Σ |ŷᵢ − yᵢ|：它的斜率是什么？对一组样本，哪个数使它最小？哪个数使均方误差最小？（用 1、2、3、4、
#    100 试试。）
# 5. 五个类别，做了两次 softmax，网络能达到的最小损失是多少？
#
# 可以配着测试做的练习（`chainrule by-hand 7 --copy DIR`）：`label_smoothing.py`，不要求百分之百肯定的交叉熵，
# 前向和反向。
