# about 20 s, 8 s with --quick
# ruff: noqa: NPY002
# %% [en]
# # 8. The L-layer network
#
# A network of any depth is one loop forward and one loop back. Here it is in the style of many lecture notes: samples
# in **columns**, a dictionary of parameters, functions that hand a cache on. Then we run the network as it is usually
# printed, on two spirals, and look closely, because it does not learn, although the number that it prints looks good.
#
# | | shape | for the first layer of [2, 4, 3, 1] |
# |---|---|---|
# | X = A₀ | (n₀, m) | (2, 400): two coordinates, 400 points |
# | Wₗ | (nₗ, nₗ₋₁) | (4, 2) |
# | bₗ | (nₗ, 1) | (4, 1), added to each column |
# | Zₗ, Aₗ | (nₗ, m) | (4, 400) |
#
# Forward: $Z_l = W_l A_{l-1} + b_l$ and $A_l = g(Z_l)$, with ReLU for $g$ and sigmoid in the last layer.
# %% [zh]
# # 8. L 层网络
#
# 任意深度的网络，就是一个向前的循环加一个向后的循环。这里采用许多讲义的写法：样本排成**列**，参数放在字典里，
# 函数之间传递缓存。然后我们照常见的印法在两条螺旋线上运行它，并且看仔细，因为它并没有学到东西，
# 尽管它打印出的数字很好看。
#
# | | 形状 | [2, 4, 3, 1] 的第一层 |
# |---|---|---|
# | X = A₀ | (n₀, m) | (2, 400)：两个坐标，400 个点 |
# | Wₗ | (nₗ, nₗ₋₁) | (4, 2) |
# | bₗ | (nₗ, 1) | (4, 1)，加到每一列上 |
# | Zₗ, Aₗ | (nₗ, m) | (4, 400) |
#
# 前向：$Z_l = W_l A_{l-1} + b_l$，$A_l = g(Z_l)$，其中 $g$ 是 ReLU，最后一层是 sigmoid。
# %%
from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule.by_hand.l_layer import (
    L_layer_model,
    L_model_backward,
    L_model_forward,
    compute_cost,
    gradient_check,
    initialize_parameters,
    load_data,
    predict,
    sigmoid_backward,
    update_parameters,
)
from chainrule.by_hand.pictures import lines, panels
from chainrule.by_hand.reading import quick, save

X, Y = load_data()
m = X.shape[1]
print(f"X {X.shape}, Y {Y.shape}; {int(Y.sum())} of {m} points belong to class 1")

figure, (panel,) = panels(size=(4.6, 4.2))
panel.scatter(*X, c=Y[0], cmap="coolwarm", s=12)
panel.set_title("two spirals", loc="left")
save(figure, "08-spirals")

# %% [en]
# ## The five equations of backpropagation
#
# One sample has the loss $\mathcal L = -y \ln a - (1 - y) \ln(1 - a)$, and the cost $J$ is the mean over m samples. We
# write $dZ_l$ and $dA_l$ for the gradients of each sample's own loss, and $dW_l$, $db_l$ for those of $J$.
#
# **1. The last layer.**
# $\frac{\partial \mathcal L}{\partial a} = -\frac{y}{a} + \frac{1-y}{1-a} = \frac{a-y}{a(1-a)}$, and the slope of the
# sigmoid is $a(1-a)$. The product: $dZ_L = A_L - Y$.
#
# **2. To the layer before.** A unit $a_k$ of layer l − 1 acts on every $z_i = \sum_k W_{ik} a_k + b_i$ of layer l.
# Each way contributes $W_{ik}\,dz_i$, and a fork adds: $dA_{l-1} = W_l^T dZ_l$.
#
# **3. Through the activation.** Element by element: $dZ_l = dA_l \odot g'(Z_l)$. For ReLU, $g'$ is 1 where $Z_l > 0$.
#
# **4. The weights.** $W_{ik}$ acts on $z_i$ of each sample, with the slope $a_k$. The sum over the samples is a
# product of matrices: $dW_l = \frac1m\,dZ_l A_{l-1}^T$.
#
# **5. The biases.** The same, with the slope 1: $db_l = \frac1m \sum_{samples} dZ_l$.
#
# Written out, and beside it the library, which has no derivative of its own here but asks its gates:
# %% [zh]
# ## 反向传播的五个方程
#
# 一个样本的损失是 $\mathcal L = -y \ln a - (1 - y) \ln(1 - a)$，代价 $J$ 是 m 个样本的平均。记 $dZ_l$、
# $dA_l$ 为每个样本自己的损失的梯度，$dW_l$、$db_l$ 为 $J$ 的梯度。
#
# **1. 最后一层。** $\frac{\partial \mathcal L}{\partial a} = -\frac{y}{a} + \frac{1-y}{1-a} = \frac{a-y}{a(1-a)}$，
# 而 sigmoid 的斜率是 $a(1-a)$。相乘得：$dZ_L = A_L - Y$。
#
# **2. 传到前一层。** 第 l − 1 层的单元 $a_k$ 影响第 l 层的每个 $z_i = \sum_k W_{ik} a_k + b_i$。
# 每条路贡献 $W_{ik}\,dz_i$，分叉处相加：$dA_{l-1} = W_l^T dZ_l$。
#
# **3. 穿过激活函数。** 逐元素：$dZ_l = dA_l \odot g'(Z_l)$。对 ReLU，$Z_l > 0$ 处 $g'$ 为 1。
#
# **4. 权重。** $W_{ik}$ 在每个样本上以斜率 $a_k$ 影响 $z_i$。对样本求和就是矩阵相乘：
# $dW_l = \frac1m\,dZ_l A_{l-1}^T$。
#
# **5. 偏置。** 同样，只是斜率为 1：$db_l = \frac1m \sum_{samples} dZ_l$。
#
# 把它们写出来，旁边放上库的结果；库在这里没有自己的导数，它去问各个门：
# %%
def he_parameters(dims):
    """Draw weights of standard deviation √(2 / inputs); biases are 0."""
    parameters = {}
    for layer, (inputs, outputs) in enumerate(pairwise(dims), 1):
        parameters[f"W{layer}"] = np.random.randn(outputs, inputs) * np.sqrt(2 / inputs)
        parameters[f"b{layer}"] = np.zeros((outputs, 1))
    return parameters


def five_equations(AL, Y, caches):
    """Go back through the network, with nothing but the five equations."""
    gradients = {}
    dZ = AL - Y                                                          # 1
    for layer in range(len(caches), 0, -1):
        (A_before, W, _), Z = caches[layer - 1]
        if layer < len(caches):
            dZ = gradients[f"dA{layer}"] * (Z > 0)                       # 3
        gradients[f"dA{layer - 1}"] = W.T @ dZ                           # 2
        gradients[f"dW{layer}"] = dZ @ A_before.T / Y.shape[1]           # 4
        gradients[f"db{layer}"] = dZ.sum(axis=1, keepdims=True) / Y.shape[1]     # 5
    return gradients


np.random.seed(1)
parameters = he_parameters([2, 16, 8, 1])
AL, caches = L_model_forward(X, parameters)
ours, theirs = five_equations(AL, Y, caches), L_model_backward(AL, Y, caches)
equations_apart = max(float(np.abs(ours[name] - theirs[name]).max()) for name in theirs)
print(f"{len(theirs)} gradients, by the five equations and by the gates: largest difference {equations_apart:.0e}")

# %% [en]
# ### Two ways to dZ, and one of them breaks
#
# Many notes go the long way, $dA_L = -(Y/A_L - (1-Y)/(1-A_L))$ first and then `sigmoid_backward`. On paper it is the
# same, and on most days it is on the computer. But let the network be sure and wrong: at Z = 40, sigmoid is 1 to the
# last digit, $dA_L$ is infinite, and infinity times a slope of 0 is not a number. The cost breaks in the same place:
# ln(1 − 1). From the **logits**, $\max(z, 0) - z y + \ln(1 + e^{-|z|})$, both are exact; `compute_cost(AL, Y, caches)`
# and `L_model_backward` start there.
# %% [zh]
# ### 通往 dZ 的两条路，其中一条会断
#
# 许多讲义绕远路：先求 $dA_L = -(Y/A_L - (1-Y)/(1-A_L))$，再用 `sigmoid_backward`。在纸上两者相同，
# 在计算机上多数时候也相同。但如果网络既自信又错误：Z = 40 时 sigmoid 到最后一位都是 1，$dA_L$ 是无穷大，
# 无穷大乘以斜率 0 不是数。代价也断在同一处：ln(1 − 1)。从 **logits** 出发，$\max(z, 0) - z y + \ln(1 + e^{-|z|})$，
# 两者都精确；`compute_cost(AL, Y, caches)` 和 `L_model_backward` 就从那里开始。
# %%
dA = -(Y / AL - (1 - Y) / (1 - AL))
routes_apart = np.abs(sigmoid_backward(dA, caches[-1][1]) - (AL - Y)).max()
print(f"dZ through dA and dZ = A - Y: largest difference {routes_apart:.0e}")

sure = {"W1": np.array([[40.0]]), "b1": np.zeros((1, 1))}
one, wrong = np.ones((1, 1)), np.zeros((1, 1))                           # x = 1, so Z = 40; and y = 0
A_sure, sure_caches = L_model_forward(one, sure)
with np.errstate(all="ignore"):
    naive_cost = float(-np.log(1 - A_sure).sum())
    naive_dZ = float(sigmoid_backward(1 / (1 - A_sure), sure_caches[-1][1]).sum())
finite_cost = compute_cost(A_sure, wrong, sure_caches)
finite_dW = L_model_backward(A_sure, wrong, sure_caches)["dW1"].item()
print(f"sure and wrong, A = {A_sure.item()}: the long way has cost {naive_cost} and dZ {naive_dZ};")
print(f"    from logits the cost is {finite_cost} and dW {finite_dW}; from A alone the cost is cut at "
      f"{compute_cost(A_sure, wrong)}")

# %% [en]
# ## The network as it is usually printed
#
# Layers [2, 4, 3, 1], weights from a normal distribution times 0.01, learning rate 0.0075, 2,500 iterations.
# `L_layer_model` is this loop; we write it ourselves to keep the costs.
# %% [zh]
# ## 常见印法的网络
#
# 层 [2, 4, 3, 1]，权重取正态分布乘 0.01，学习率 0.0075，迭代 2,500 次。`L_layer_model` 就是下面这个循环；
# 我们自己写一遍，好把代价留下来。
# %%
EVERY = 50                                   # a cost is kept each 50 iterations


def learn(parameters, learning_rate, iterations):
    """Gradient descent with all samples in each step; return parameters and costs."""
    parameters, costs = dict(parameters), []
    for i in range(iterations + 1):
        AL, caches = L_model_forward(X, parameters)
        if i % EVERY == 0:
            costs.append(compute_cost(AL, Y, caches))
        if i < iterations:
            parameters = update_parameters(parameters, L_model_backward(AL, Y, caches), learning_rate)
    return parameters, costs


def accuracy(parameters):
    """Return the share of the points on the right side of a half."""
    return float(((L_model_forward(X, parameters)[0] > 0.5) == Y).mean())


np.random.seed(1)
printed = L_layer_model(X, Y, [2, 4, 3, 1], learning_rate=0.0075, num_iterations=2500)
np.random.seed(1)
same, printed_costs = learn(initialize_parameters([2, 4, 3, 1]), 0.0075, 2500)
print("L_layer_model and the loop above give the same parameters:",
      all(np.array_equal(printed[name], same[name]) for name in printed))

printed_outputs = L_model_forward(X, printed)[0]
print(f"cost {printed_costs[0]:.5f} → {printed_costs[-1]:.5f}, with more digits {printed_costs[0]:.9f} → "
      f"{printed_costs[-1]:.9f}; ln 2 = {np.log(2):.9f}")
print(f"the outputs lie between {printed_outputs.min():.6f} and {printed_outputs.max():.6f} "
      f"(at most {np.abs(printed_outputs - 0.5).max():.1e} from a half)")
predictions = predict(X, Y, printed)

# %% [en]
# ### Why the accuracy misleads
#
# The cost is ln 2, that of saying "50 %" of everything, and it moves in the seventh digit. All outputs are 0.5 to six
# digits. And yet `predict` prints an accuracy far above one half! It asks only on which *side* of 0.5 an output lies.
# The steps have moved a faint boundary to where more of one spiral lies on each side of it, and 0.5000001 counts as
# much as 0.99. Networks that have not learned at all get anything, as the ten below. And move the last bias of ours by
# two millionths: the accuracy is that of a coin.
#
# Look at the cost, and at the probabilities, before you believe an accuracy.
# %% [zh]
# ### 为什么正确率会误导
#
# 代价是 ln 2，也就是对什么都说“50%”的代价，只在第七位数字上变动。所有输出到六位小数都是 0.5。
# 可是 `predict` 打印的正确率却远高于一半！它只问输出落在 0.5 的哪一*侧*。这些步子把一条微弱的分界挪到了两侧各有一条螺
# 旋占多数的位置，而 0.5000001 和 0.99 算得一样多。完全没有学过的网络什么正确率都可能得到，如下面的十个。
# 再把我们网络最后的偏置挪动百万分之二：正确率就和抛硬币一样。
#
# 在相信正确率之前，先看代价，再看概率。
# %%
untrained = []
for seed in range(1, 11):
    np.random.seed(seed)
    untrained.append(accuracy(initialize_parameters([2, 4, 3, 1])))
print("accuracy without a single step of learning, seeds 1 to 10:", *(f"{share:.2f}" for share in untrained))

nudged = {**printed, "b3": printed["b3"] + 2e-6}
nudged_accuracy = accuracy(nudged)
print(f"after learning, with the last bias moved by 0.000002: {nudged_accuracy:.2f}")

# %% [en]
# ### The cause
#
# Let the weights be of the size ε. Each layer makes the signal smaller by a factor of about ε on its way forward, and
# the gradient on its way back: three layers leave ε³ of the signal in the output, and a gradient of W₁ of about ε².
# With ε = 0.01 and a rate of 0.0075, a step changes nothing. The origin of the parameters is a plateau, and we have
# begun in its middle.
# %% [zh]
# ### 原因
#
# 设权重的大小为 ε。信号每向前一层大约缩小 ε 倍，梯度每往回一层也是如此：经过三层，输出里只剩 ε³ 的信号，
# W₁ 的梯度大约只有 ε²。ε = 0.01、学习率 0.0075 时，走一步等于没走。参数空间的原点是一片高原，
# 而我们恰好从它的中央出发。
# %%
def layer_by_layer(parameters):
    """Return for each layer the root mean square of Z and of A, and the norm of dW."""
    AL, caches = L_model_forward(X, parameters)
    gradients = L_model_backward(AL, Y, caches)
    outputs = [*(linear_cache[0] for linear_cache, _ in caches[1:]), AL]
    return [(float(np.sqrt(np.mean(Z ** 2))), float(np.sqrt(np.mean(A ** 2))),
             float(np.linalg.norm(gradients[f"dW{layer}"])))
            for layer, ((_, Z), A) in enumerate(zip(caches, outputs, strict=True), 1)]


np.random.seed(1)
small_layers = layer_by_layer(initialize_parameters([2, 4, 3, 1]))
np.random.seed(1)
he_layers = layer_by_layer(he_parameters([2, 4, 3, 1]))
print("          weights × 0.01                     He's weights")
print("layer     Z         A         ‖dW‖           Z         A         ‖dW‖")
for layer, (small, he) in enumerate(zip(small_layers, he_layers, strict=True), 1):
    print(f"{layer:5}", *(f"{number:9.1e}" for number in small), "    ", *(f"{number:9.1e}" for number in he))
figure, (left, right) = panels(2)
for panel, column, title in ((left, 0, "size of Z"), (right, 2, "norm of the gradient of W")):
    lines({name: ([1, 2, 3], [numbers[column] for numbers in found])
           for name, found in (("weights × 0.01", small_layers), ("He", he_layers))}, title, x="layer", log="y",
          axes=panel)
    panel.set_xticks([1, 2, 3])
save(figure, "08-layers")

# %% [en]
# ## The mend
#
# He's initialisation takes the standard deviation $\sqrt{2/n_{l-1}}$, so that ReLU keeps the size of the signal
# (chapter 9 has the reason). That alone ends the standstill; a larger rate alone, or more units alone, does not:
# %% [zh]
# ## 修好它
#
# He 初始化取标准差 $\sqrt{2/n_{l-1}}$，让 ReLU 保持信号的大小（原因在第 9 章）。单凭这一点，停滞就结束了；
# 单凭更大的学习率或更多的单元，则不行：
# %%
wide = [2, 16, 8, 1]
changes = {
    "rate 0.1": (initialize_parameters, [2, 4, 3, 1], 0.1),
    "[2, 16, 8, 1]": (initialize_parameters, wide, 0.0075),
    "He": (he_parameters, [2, 4, 3, 1], 0.0075),
}
changed = {"as printed": printed_costs}
for name, (initialize, dims, rate) in changes.items():
    np.random.seed(1)
    changed[name] = learn(initialize(dims), rate, 500 if quick() else 2500)[1]
for name, costs in changed.items():
    print(f"{name:14} cost {costs[0]:.6f} → {costs[-1]:.6f}")

# %% [en]
# Now all three for 5,000 iterations, with five seeds. More than 399 of 400 is impossible: both spirals begin at the
# origin, so two points with opposite labels are the same point. Beside it logistic regression, a network without
# hidden layers: the best straight line gets about 93 %, so that is what a network has to beat.
# %% [zh]
# 现在三样一起，迭代 5,000 次，用五个种子。超过 400 个里的 399 个是不可能的：两条螺旋都从原点开始，
# 于是有两个标签相反的点是同一个点。旁边放上逻辑回归，也就是没有隐藏层的网络：最好的直线大约得 93%，
# 网络要胜过的正是它。
# %%
SEEDS = (1,) if quick() else (1, 2, 3, 4, 5)
twins = np.flatnonzero((X == 0).all(axis=0))
print(f"points at the origin: numbers {twins.tolist()}, of the classes {Y[0, twins].tolist()}; "
      f"the ceiling is {(m - 1) / m:.2%}")

np.random.seed(1)
line, _ = learn(initialize_parameters([2, 1]), 1.0, 2500)
line_accuracy = accuracy(line)
print(f"logistic regression: {line_accuracy:.2%}")

mended, mended_costs, mended_accuracy = {}, {}, {}
for seed in SEEDS:
    np.random.seed(seed)
    mended[seed], mended_costs[seed] = learn(he_parameters(wide), 0.1, 5000)
    mended_accuracy[seed] = accuracy(mended[seed])
    print(f"seed {seed}: cost {mended_costs[seed][0]:.4f} → {mended_costs[seed][-1]:.4f}, "
          f"accuracy {mended_accuracy[seed]:.2%}")

figure, (left, right) = panels(2)
steps = EVERY * np.arange(5000 // EVERY + 1)
curves = {"as printed": printed_costs, **{f"mended, seed {seed}": mended_costs[seed] for seed in SEEDS}}
lines({name: (steps[:len(costs)], costs) for name, costs in curves.items()}, "cost", x="iteration", axes=left)
lines({"as printed": (steps[:len(printed_costs)], np.array(printed_costs) - np.log(2))}, "cost − ln 2, as printed",
      x="iteration", axes=right)
save(figure, "08-cost")

across = np.linspace(-1.25, 1.25, 201)
grid = np.array(np.meshgrid(across, across)).reshape(2, -1)
figure, axes = panels(3, size=(4.2, 4.0))
for panel, title, parameters in zip(axes, ("as printed", "logistic regression", "mended"), (printed, line, mended[1]),
                                    strict=True):
    probability = L_model_forward(grid, parameters)[0].reshape(201, 201)
    panel.contourf(across, across, probability, levels=np.linspace(0, 1, 21), cmap="coolwarm", alpha=0.5)
    panel.contour(across, across, probability, levels=[0.5], colors="#333333", linewidths=1)
    panel.scatter(*X, c=Y[0], cmap="coolwarm", s=8)
    panel.set_title(f"{title}: {accuracy(parameters):.1%}", loc="left")
save(figure, "08-boundary")

# %% [en]
# The line in the left picture is the boundary that `predict` takes; the colour is what the network thinks on either
# side of it: nothing.
#
# ## The gradient check, and a check that lies
#
# All parameters in one long vector θ, each element moved by ±ε, and the distance of the two gradients measured by
# $\lVert a - n \rVert / (\lVert a \rVert + \lVert n \rVert)$. First with biases drawn from N(0, 0.1²), then with those
# that are usually printed, 0:
# %% [zh]
# 左图里的线就是 `predict` 所用的分界；颜色则是网络对两侧的看法：没有看法。
#
# ## 梯度检验，以及一个会说谎的检验
#
# 把所有参数排成一个长向量 θ，每个元素移动 ±ε，两种梯度的距离用
# $\lVert a - n \rVert / (\lVert a \rVert + \lVert n \rVert)$ 衡量。先用从 N(0, 0.1²) 抽取的偏置，再用常见印法里的 0：
# %%
def checked(parameters):
    """Return the relative difference of the gradients at some parameters."""
    AL, caches = L_model_forward(X, parameters)
    return gradient_check(X, Y, parameters, L_model_backward(AL, Y, caches))


np.random.seed(1)
zero_biases = initialize_parameters([2, 4, 3, 1])
random_biases = {name: value if name[0] == "W" else np.random.randn(*value.shape) * 0.1
                 for name, value in zero_biases.items()}
print("biases from N(0, 0.1²):")
random_difference = checked(random_biases)
print("\nbiases 0:")
zero_difference = checked(zero_biases)

# %% [en]
# The second check fails by far, and the backward pass is the same! Look where the network stands. A point for which
# all four units of the first layer are off gives A₁ = 0. With b₂ = 0 all three units of the second layer then get
# exactly 0: they stand on the kink of ReLU. To the right the slope is 1, to the left 0; the central difference says ½,
# and backward says 0, as every framework does. Neither is wrong: there is no derivative. Of the first layer, only the
# two points at the origin are on the kink.
# %% [zh]
# 第二次检验差得很远，而反向传播是同一个！看看网络站在哪里。如果一个点让第一层的四个单元全部关闭，则 A₁ = 0；
# 又因为 b₂ = 0，第二层的三个单元得到的恰好都是 0：它们正站在 ReLU 的拐点上。往右斜率是 1，往左是 0；中心差分说 ½，
# 反向传播说 0，各个框架都这样。两者都没有错：这里没有导数。第一层里，只有原点处的两个点落在拐点上。
# %%
_, caches = L_model_forward(X, zero_biases)
Z1, Z2 = caches[0][1], caches[1][1]
silent = int((Z1 <= 0).all(axis=0).sum())
on_the_kink = int((Z2 == 0).sum())
print(f"points that switch the whole first layer off: {silent}; of the {Z2.size} Z of the second layer "
      f"{on_the_kink} are exactly 0, which is {silent} × {len(Z2)}")
print(f"Z of the first layer that are exactly 0: {int((Z1 == 0).sum())} of {Z1.size}")


def cost_beside(step):
    """Return the cost with the first bias of layer 2 moved."""
    moved = {**zero_biases, "b2": zero_biases["b2"] + np.array([[step], [0.0], [0.0]])}
    AL, caches = L_model_forward(X, moved)
    return compute_cost(AL, Y, caches)


h = 1e-7
to_the_right, to_the_left = (cost_beside(h) - cost_beside(0)) / h, (cost_beside(0) - cost_beside(-h)) / h
AL, caches = L_model_forward(X, zero_biases)
by_backward = L_model_backward(AL, Y, caches)["db2"][0, 0]
print(f"slope of the cost along b2[0]: {to_the_right:.3e} to the right, {to_the_left:.3e} to the left, mean "
      f"{(to_the_right + to_the_left) / 2:.3e}; backward {by_backward:.3e}")

# %% [en]
# `check_gradients` looks at both sides and at several steps, and can tell a kink from a mistake. It takes any object
# with `forward` and `backward`; `params` and `grads` are checked along with the input. Below, the network once more,
# and the same with a mistake in it: the biases' gradients are summed over the samples, but not divided by m.
# %% [zh]
# `check_gradients` 会看两侧、用好几种步长，因此分得清拐点和错误。它接受任何带 `forward` 和 `backward` 的对象；
# `params` 和 `grads` 会与输入一起检验。下面先是同一个网络，再是一个带错误的：偏置的梯度对样本求了和，却没有除以 m。
# %%
class Network:
    """The network and its cost as an object with forward and backward."""

    def __init__(self, parameters):
        self.params, self.grads = parameters, {}

    def forward(self, X):
        self.AL, self.caches = L_model_forward(X, self.params)
        return compute_cost(self.AL, Y, self.caches)

    def backward(self, dout):
        gradients = L_model_backward(self.AL, Y, self.caches)
        self.grads = {name: dout * gradients[f"d{name}"] for name in self.params}
        return dout * gradients["dA0"] / m               # dA0 belongs to each sample's own loss, the cost is the mean


class Mistaken(Network):
    """The division by m forgotten for the biases."""

    def backward(self, dout):
        dX = super().backward(dout)
        self.grads = {name: d * m if name[0] == "b" else d for name, d in self.grads.items()}
        return dX


def verdicts(network):
    """Return what the check says: its ratio, or the error with its verdicts."""
    try:
        return cr.check_gradients(network, X)
    except cr.GradientError as error:
        return error


right = verdicts(Network(random_biases))
print(f"random biases: {right:.0e}")
kink = verdicts(Network(zero_biases))
print("\nbiases 0:", kink, sep="\n")
mistake = verdicts(Mistaken(random_biases))
print("\na real mistake:", str(mistake).partition("\n")[0], sep="\n")

# %% [en]
# So: **draw the biases at random before you check gradients.** A check that fails at zero biases has sent many people
# looking for a mistake that was not there.
#
# ## Exercises
#
# 1. Write the gradient check yourself, with all parameters in one vector: `gradient_check.py`, with tests
#    (`chainrule by-hand 8 --copy DIR`).
# 2. Write other initialisations; chapter 9 compares four, and has the tests.
# 3. Find the wrong layers with `check_gradients`: chapter 3 comes with eight suspects.
# %% [zh]
# 所以：**做梯度检验之前，先把偏置随机抽取。** 在零偏置处失败的检验，曾让许多人去寻找一个根本不存在的错误。
#
# ## 练习
#
# 1. 自己写梯度检验，把所有参数放进一个向量：`gradient_check.py`，配有测试（`chainrule by-hand 8 --copy DIR`）。
# 2. 写出其他初始化方法；第 9 章比较了四种，并配有测试。
# 3. 用 `check_gradients` 找出错误的层：第 3 章附有八个可疑的层。
