# about 2 s

# %% [en]
# # 6. The chain rule, written out
#
# In chapter 5 a gradient was found by trying: nudge one weight, run the whole network, see what the loss does. Here
# it is found by thinking. One weight of a small network, all the quantities between it and the loss, and a product of
# four numbers. Nothing in deep learning goes beyond this product; there is only more of it.
#
# ## A neuron
#
# A neuron multiplies each input by a weight, adds everything up, and bends the sum:
#
#     z = w₀ + Σ wᵢ·xᵢ        a = f(z)
#
# w₀ is the bias: what z is when nothing comes in. f is the activation function.

# %% [zh]
# # 6. 把链式法则写出来
#
# 第 5 章靠“试”来求梯度：把一个权重拨动一点点，把整个网络跑一遍，看损失怎么变。这一章靠“想”：取一个小网络里的一个
# 权重，把它到损失之间经过的每个量都写下来，梯度就是四个数的乘积。深度学习里再没有比这更深奥的东西，只是这样的乘积
# 多得多罢了。
#
# ## 一个神经元
#
# 神经元把每个输入乘上一个权重，全部加起来，再把这个和“弯”一下：
#
#     z = w₀ + Σ wᵢ·xᵢ        a = f(z)
#
# w₀ 是偏置，也就是没有输入时 z 的值；f 是激活函数。

# %%
import numpy as np

import chainrule as cr
from chainrule import gates
from chainrule.by_hand.pictures import activations, network
from chainrule.by_hand.reading import save


def neuron(x, w, w_0, f):
    """Return z and a = f(z)."""
    z = w_0 + np.sum(w * x)
    return z, f(z)


z, one_a = neuron(x=np.array([1.0, 1.0]), w=np.array([0.8, 0.2]), w_0=0.0, f=gates.sigmoid)
print(f"z = {z:g}")
print(f"a = σ({z:g}) = {one_a:.4f}")
save(network([[1.0, 1.0, 1.0], [one_a]], [[[0.0], [0.8], [0.2]]], [["1", "x₁", "x₂"], ["a = σ(z)"]],
             "A neuron: the weight of the constant 1 is the bias"), "06-neuron")

# %% [en]
# ## Four activation functions and their slopes
#
# For the chain rule we need of each f its slope f ′. It can be read off the result a; z need not be kept:
#
#     sigmoid   a = 1/(1 + e⁻ᶻ)    f ′ = a·(1 − a)      at most 1/4
#     tanh      a = tanh z         f ′ = 1 − a²         at most 1
#     ReLU      a = max(z, 0)      f ′ = [a > 0]        1 or 0: yes or no
#     linear    a = z              f ′ = 1
#
# The table compares these with the slopes that the framework's gates give. The figure shows functions and slopes:
# far from 0 the sigmoid and tanh are flat, and a product with a factor near 0 is near 0. Chapter 9 returns to that.

# %% [zh]
# ## 四个激活函数和它们的斜率
#
# 用链式法则，需要知道每个 f 的斜率 f ′。它可以直接由结果 a 读出，不必保留 z：
#
#     sigmoid   a = 1/(1 + e⁻ᶻ)    f ′ = a·(1 − a)      最大 1/4
#     tanh      a = tanh z         f ′ = 1 − a²         最大 1
#     ReLU      a = max(z, 0)      f ′ = [a > 0]        1 或 0：是或否
#     线性      a = z              f ′ = 1
#
# 下表把它们和框架的门给出的斜率放在一起比较。图中画出了函数和斜率：离 0 较远时，sigmoid 和 tanh 几乎是平的；乘积里
# 只要有一个因子接近 0，整个乘积就接近 0。第 9 章会再谈到这一点。

# %%
functions = {"sigmoid": gates.sigmoid, "tanh": gates.tanh, "ReLU": gates.relu, "linear": lambda z: 1.0 * z}
slopes = {"sigmoid": lambda a: a * (1 - a), "tanh": lambda a: 1 - a ** 2, "ReLU": lambda a: float(a > 0),
          "linear": lambda a: 1.0}
largest_difference = 0.0
print("function      z       a      f ′    by the gate")
for name, f in functions.items():
    for z in (-2.0, 0.5, 3.0):
        value, by_gate = float(f(z)), float(cr.grad(f)(z))
        slope = slopes[name](value)
        largest_difference = max(largest_difference, abs(slope - by_gate))
        print(f"{name:9} {z:5.1f} {value:8.4f} {slope:7.4f} {by_gate:10.4f}")
save(activations({"sigmoid": gates.sigmoid, "ReLU": gates.relu, "tanh": gates.tanh, "linear": None}), "06-activations")

# %% [en]
# ## The network
#
# Two inputs, three hidden sigmoid units, one linear output; no biases. wᵢⱼ leads from input i to hidden unit j, and
# w₃ⱼ from hidden unit j to the output ŷ ("y hat"), the prediction. The cost is the squared error C = (y − ŷ)².
#
#     h₁ⱼ = Σ xᵢ·wᵢⱼ      a₁ⱼ = σ(h₁ⱼ)      ŷ = Σ a₁ⱼ·w₃ⱼ
#
# Both inputs are 1. The target y is 0.

# %% [zh]
# ## 网络
#
# 两个输入，三个 sigmoid 隐藏单元，一个线性输出，没有偏置。wᵢⱼ 从输入 i 通向隐藏单元 j，w₃ⱼ 从隐藏单元 j 通向输出 ŷ
# （读作“y 帽”），也就是预测值。代价是平方误差 C = (y − ŷ)²。
#
#     h₁ⱼ = Σ xᵢ·wᵢⱼ      a₁ⱼ = σ(h₁ⱼ)      ŷ = Σ a₁ⱼ·w₃ⱼ
#
# 两个输入都是 1，目标 y 是 0。

# %%
x = np.array([1.0, 1.0])
y = 0.0
w = np.array([[0.8, 0.4, 0.3],
              [0.2, 0.9, 0.5]])
w_3 = np.array([0.3, 0.5, 0.9])


def forward(x, w, w_3):
    """Return everything on the way from the inputs to the prediction."""
    h = x @ w
    a = 1 / (1 + np.exp(-h))
    return h, a, a @ w_3


h, a, prediction = forward(x, w, w_3)
cost = (y - prediction) ** 2
print("hidden      h =", "  ".join(f"{value:.1f}" for value in h))
print("activations a =", "  ".join(f"{value:.3f}" for value in a))
print(f"output      ŷ = {prediction:.3f}")
print(f"cost        C = {cost:.3f}")
save(network([x, a, [prediction]], [w, w_3[:, None]],
             [["x₁", "x₂"], ["a₁₁", "a₁₂", "a₁₃"], ["ŷ"]], f"C = (0 − ŷ)² = {cost:.3f}"), "06-network")

# %% [en]
# ## Do not round on the way
#
# This example is often printed with an output of 1.235. That comes from activations that were first rounded to two
# places. The error is small here, but it is not an error of the network: round what you print, never what you go on
# to compute with.

# %% [zh]
# ## 中途不要取整
#
# 这个例子常被印成输出 1.235。那是先把激活值四舍五入到两位小数再往下算的结果。误差在这里不大，但它并不属于网络：
# 要打印的数可以四舍五入，还要接着算的数不可以。

# %%
rounded_a = np.round(a, 2)
rounded_prediction = rounded_a @ w_3
print(f"from {rounded_a}: ŷ = {rounded_prediction:.3f}, C = {(y - rounded_prediction) ** 2:.3f}")
print(f"from the activations as they are: ŷ = {prediction:.3f}, C = {cost:.3f}")

# %% [en]
# ## From the cost back to w₁₁
#
# What happens to C when w₁₁ grows a little? Only one chain of quantities carries the news:
#
#     w₁₁ → h₁₁ → a₁₁ → ŷ → C
#
# Each link passes a small change on, multiplied by its own slope. So the slopes multiply:
#
#     ∂C     ∂C   ∂ŷ     ∂a₁₁   ∂h₁₁
#     ──── = ── · ──── · ──── · ────  =  −2(y − ŷ) · w₃₁ · a₁₁(1 − a₁₁) · x₁
#     ∂w₁₁   ∂ŷ   ∂a₁₁   ∂h₁₁   ∂w₁₁
#
# Every factor is local. Each can be written down by somebody who sees one link alone:
#
# - C = (y − ŷ)² falls by 2(y − ŷ) for each unit of ŷ, hence −2(y − ŷ);
# - in ŷ = … + a₁₁·w₃₁ + … the slope by a₁₁ is its weight w₃₁: a product hands each factor the other one;
# - the sigmoid has the slope a₁₁(1 − a₁₁);
# - in h₁₁ = x₁·w₁₁ + x₂·w₂₁ the slope by w₁₁ is x₁.

# %% [zh]
# ## 从代价退回到 w₁₁
#
# w₁₁ 稍微增大一点，C 会怎样？消息只沿着一条链传过去：
#
#     w₁₁ → h₁₁ → a₁₁ → ŷ → C
#
# 每一环把微小的变化乘上自己的斜率，再传给下一环。于是斜率相乘：
#
#     ∂C     ∂C   ∂ŷ     ∂a₁₁   ∂h₁₁
#     ──── = ── · ──── · ──── · ────  =  −2(y − ŷ) · w₃₁ · a₁₁(1 − a₁₁) · x₁
#     ∂w₁₁   ∂ŷ   ∂a₁₁   ∂h₁₁   ∂w₁₁
#
# 每个因子都是局部的：只看得见这一环的人，也写得出来。
#
# - C = (y − ŷ)²：ŷ 每增加一个单位，C 就减少 2(y − ŷ)，所以是 −2(y − ŷ)；
# - ŷ = … + a₁₁·w₃₁ + …：对 a₁₁ 的斜率就是它的权重 w₃₁，乘法把另一个因子交给每个因子；
# - sigmoid 的斜率是 a₁₁(1 − a₁₁)；
# - h₁₁ = x₁·w₁₁ + x₂·w₂₁：对 w₁₁ 的斜率是 x₁。

# %%
factors = {"−2(y − ŷ)": -2 * (y - prediction), "w₃₁": w_3[0], "a₁₁(1 − a₁₁)": a[0] * (1 - a[0]), "x₁": x[0]}
by_hand = np.prod(list(factors.values()))
for symbol, value in factors.items():
    print(f"{symbol:>12} = {value:.4f}")
print(f"{'∂C/∂w₁₁':>12} = {by_hand:.4f}")

# %% [en]
# ## The framework says the same
#
# `chainrule.explain` follows the chain through the gates that really ran, asks each gate for its own slope, and prints
# what it finds. It knows nothing of this network. The names are ours: small indices such as ᵢⱼ in a name are filled
# in, counted from 1. `lr=1` asks for a step of gradient descent, w₁₁ − lr·∂C/∂w₁₁, too.

# %% [zh]
# ## 框架的说法也一样
#
# `chainrule.explain` 沿着真正运行过的门往回走，向每个门询问它自己的斜率，再把结果打印出来。它事先并不认识这个网络。
# 名字由我们来取：名字里的小下标（如 ᵢⱼ）会从 1 开始填上数字。`lr=1` 表示顺便走一步梯度下降：w₁₁ − lr·∂C/∂w₁₁。

# %%
X, Y = cr.Tensor(x, requires_grad=True), cr.Tensor(y)
W, W_3 = cr.Tensor(w, requires_grad=True), cr.Tensor(w_3, requires_grad=True)
H = X @ W
A = H.sigmoid()
P = A @ W_3
C = (Y - P) ** 2
names = {"xᵢ": X, "y": Y, "wᵢⱼ": W, "w₃ⱼ": W_3, "h₁ⱼ": H, "a₁ⱼ": A, "ŷ": P, "C": C}

explanation = cr.explain(C, W, index=(0, 0), names=names, lr=1)
print(f"{explanation:.4f}")

# %% [en]
# ## Several paths: add them up
#
# x₁ reaches the cost through all three hidden units, so there are three products, and the gradient is their sum. That
# is the whole chain rule: **multiply along a path, add over the paths.** Backpropagation computes nothing else; it
# only begins at the cost, so that what the paths have in common is computed once.

# %% [zh]
# ## 多条路径：加起来
#
# x₁ 经过三个隐藏单元通向代价，所以有三个乘积，梯度是它们的和。完整的链式法则就是这样：**沿一条路径相乘，对所有路径
# 相加。** 反向传播算的也只是这些；它从代价出发，于是各条路径共有的部分只需要算一次。

# %%
through_all = cr.explain(C, X, index=0, names=names)
print(f"{through_all:.4f}")

# %% [en]
# ## All weights at once
#
# Written with arrays, from the cost backwards, each line is one link, and uses the line above:
#
#     ∂C/∂ŷ  = −2(y − ŷ)
#     ∂C/∂w₃ = ∂C/∂ŷ · a                    ∂C/∂a = ∂C/∂ŷ · w₃
#     ∂C/∂h  = ∂C/∂a · a(1 − a)
#     ∂C/∂w  = x times ∂C/∂h: row i, column j holds xᵢ · ∂C/∂h₁ⱼ
#
# `backward()` gives the same nine numbers. So does a nudge, as in chapter 5, up to the error of nudging.

# %% [zh]
# ## 一次算出所有权重的梯度
#
# 用数组从代价往回写，每一行是一环，并且用到上一行：
#
#     ∂C/∂ŷ  = −2(y − ŷ)
#     ∂C/∂w₃ = ∂C/∂ŷ · a                    ∂C/∂a = ∂C/∂ŷ · w₃
#     ∂C/∂h  = ∂C/∂a · a(1 − a)
#     ∂C/∂w  = x 与 ∂C/∂h 的外积：第 i 行第 j 列是 xᵢ · ∂C/∂h₁ⱼ
#
# `backward()` 给出同样的九个数。像第 5 章那样拨动一下，结果也相同，只差拨动本身的误差。

# %%
d_prediction = -2 * (y - prediction)
d_w_3, d_a = d_prediction * a, d_prediction * w_3
d_h = d_a * a * (1 - a)
d_w = np.outer(x, d_h)

C.backward()
difference = max(np.abs(d_w - W.grad.numpy()).max(), np.abs(d_w_3 - W_3.grad.numpy()).max())
nudged = w.copy()
nudged[0, 0] += 1e-4
by_nudging = ((y - forward(x, nudged, w_3)[2]) ** 2 - cost) / 1e-4
print("∂C/∂w  =", np.array2string(d_w, precision=4, prefix="∂C/∂w  = "))
print("∂C/∂w₃ =", np.array2string(d_w_3, precision=4))
print(f"largest difference from backward(): {difference:.1e}")
print(f"∂C/∂w₁₁ by nudging: {by_nudging:.6f}, by the chain rule: {by_hand:.6f}")

# %% [en]
# ## One step, and how long it should be
#
# Textbooks like the rate 1 here, because it makes the update easy to write down: w₁₁ becomes 0.8 − 0.1455. As a step
# it is far too long. The gradient says which way is down *here*; go too far and you stand higher on the other side.

# %% [zh]
# ## 走一步，以及这一步该多长
#
# 教科书在这里喜欢用学习率 1，因为更新式写起来简单：w₁₁ 变成 0.8 − 0.1455。可作为一步，它实在太长了。梯度只说明
# *这里* 往哪边是下坡；走得太远，就会站到对面更高的地方。

# %%
costs = {}
for lr in (1.0, 0.1, 0.01):
    costs[lr] = float((y - forward(x, w - lr * d_w, w_3 - lr * d_w_3)[2]) ** 2)
    print(f"rate {lr:4}: C goes from {cost:.3f} to {costs[lr]:.3f}")

# %% [en]
# ## A mistake that is hard to see
#
# a(1 − a) is the slope of the sigmoid in terms of its *result*. Put the sum h in by mistake and the code still runs.
# For this very weight h₁₁ is 1, so that h₁₁(1 − h₁₁) is 0: the weight would never learn, and no error message says
# why. A gradient check (exercises) finds such things in a second.

# %% [zh]
# ## 一个不容易看出来的错误
#
# a(1 − a) 是用 sigmoid 的*结果*表示的斜率。要是误把加权和 h 代进去，代码照样能跑。偏偏对这个权重，h₁₁ 等于 1，
# h₁₁(1 − h₁₁) 就是 0：这个权重永远学不动，也没有任何报错。梯度检验（见练习）一秒钟就能发现它。

# %%
wrong = h[0] * (1 - h[0])
print(f"a₁₁(1 − a₁₁) = {a[0] * (1 - a[0]):.4f}   right")
print(f"h₁₁(1 − h₁₁) = {wrong:.4f}   wrong: the slope of the sigmoid is never 0")

# %% [en]
# ## Exercises
#
# 1. Write out ∂C/∂w₂₃ on paper, put the numbers in, and compare with `cr.explain(C, W, index=(1, 2), names=names)`.
#    (Build C again first: `backward()` has used it up.)
# 2. Give every hidden unit a bias. Which of the four factors of ∂C/∂w₁₁ changes its form when w₁₁ is replaced by the
#    bias of the unit?
# 3. Make tanh, then ReLU, of the hidden units. Which factor changes? What becomes of it if h₁₁ is negative?
# 4. Take half the squared error, C = ½(y − ŷ)². Where did the 2 go, and does the best network change?
# 5. Go a hundred steps with the rate 0.1, and print the cost after each.
#
# To work on with tests (`chainrule by-hand 6 --copy DIR`): `chain_of_factors.py`, this network with tanh and biases,
# its factors and all its gradients.

# %% [zh]
# ## 练习
#
# 1. 在纸上写出 ∂C/∂w₂₃，代入数字，再与 `cr.explain(C, W, index=(1, 2), names=names)` 比较。（要先重新构造 C：
#    `backward()` 已经把它用掉了。）
# 2. 给每个隐藏单元加上偏置。把 w₁₁ 换成这个单元的偏置，∂C/∂w₁₁ 的四个因子里哪一个会变形？
# 3. 把隐藏单元改成 tanh，再改成 ReLU。哪个因子变了？如果 h₁₁ 是负数，它会变成什么？
# 4. 改用一半的平方误差 C = ½(y − ŷ)²。那个 2 到哪里去了？最好的网络会因此改变吗？
# 5. 用学习率 0.1 走一百步，打印每一步之后的代价。
#
# 可以配着测试做的练习（`chainrule by-hand 6 --copy DIR`）：`chain_of_factors.py`，把这个网络换成 tanh 并加上偏置，写出
# 各个因子和全部梯度。
