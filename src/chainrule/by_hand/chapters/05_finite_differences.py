# about 5 s, 3 s with --quick

# %% [en]
# # 5. Learning by finite differences
#
# How should a weight change so that the loss gets smaller? Ask the network. Nudge the weight by a small h, run the
# network again, and see what the loss L does:
#
#     ∂L/∂w ≈ (L(w + h) − L(w)) / h
#
# That is the definition of a derivative, with a small number in the place of a limit. No calculus is needed, and there
# is nothing in it to get wrong. So this is how a network learns in this chapter; at the end we measure what it costs.
#
# ## The network
#
# Two inputs, three hidden sigmoid units, one linear output. Given the inputs (1, 1) it shall answer 0. Its loss is the
# mean squared error. The weights are a list: W1 and b1 lead into the hidden layer, W2 and b2 to the output.

# %% [zh]
# # 5. 用有限差分来学习
#
# 权重该怎么变，损失才会变小？问网络自己。把权重拨动一个很小的 h，再跑一遍网络，看损失 L 怎么变：
#
#     ∂L/∂w ≈ (L(w + h) − L(w)) / h
#
# 这就是导数的定义，只是用一个很小的数代替了极限。不需要微积分，也没有什么可写错的。所以这一章就让网络这样学习；最后再来
# 测量它的代价。
#
# ## 网络
#
# 两个输入，三个 sigmoid 隐藏单元，一个线性输出。输入是 (1, 1) 时，它应该回答 0。损失是均方误差。权重放在一个列表里：
# W1 和 b1 通向隐藏层，W2 和 b2 通向输出。

# %%
import time

import numpy as np

import chainrule as cr
from chainrule.by_hand.finite_differences import feed_forward, update_weights
from chainrule.by_hand.pictures import lines
from chainrule.by_hand.reading import quick, save

x = np.array([[1, 1]])
y = np.array([[0]])
start = [np.array([[-0.0053, -0.5820, -0.2723],
                   [0.3793, -0.5204, 0.1896]]),
         np.array([-0.0140, 0.5607, -0.0628]),
         np.array([[0.1528], [-0.1745], [-0.1135]]),
         np.array([-0.5516])]


def output(weights):
    """Return what the network answers."""
    W1, b1, W2, b2 = weights
    hidden = 1 / (1 + np.exp(-(x @ W1 + b1)))
    return (hidden @ W2 + b2).item()


first_loss = feed_forward(x, y, start)
print(f"output {output(start):.4f}, wanted {y.item()}, loss {first_loss:.5f}")

# %% [en]
# ## One weight, one nudge
#
# Here is the whole method for a single weight, the first of W1. Note the last line of the function: **the nudge has to
# be taken back**, before the next weight is nudged.

# %% [zh]
# ## 一个权重，拨动一次
#
# 对单个权重（W1 的第一个），整个方法就是下面这些。注意函数的最后一步：**拨动之后要放回去**，然后才能拨下一个权重。

# %%
def slope_by_nudging(weights, i, index, h=1e-4):
    """Return how the loss changes with one element of weights[i]."""
    before = feed_forward(x, y, weights)
    kept = weights[i][index]
    weights[i][index] = kept + h
    after = feed_forward(x, y, weights)
    weights[i][index] = kept                          # as it was
    return (after - before) / h


one_slope = slope_by_nudging(start, 0, (0, 0))
print(f"∂L/∂W1[0,0] ≈ {one_slope:.6f}")

# %% [en]
# ## A hundred epochs
#
# `update_weights` does this for all 13 weights, h = 10⁻⁴, and only then moves every weight a little against its slope:
#
#     w ← w − lr · ∂L/∂w
#
# It returns new weights, and the loss *before* the step. So the last loss in the list is not that of the final
# weights: those have a loss that is one step better.

# %% [zh]
# ## 一百轮
#
# `update_weights` 对全部 13 个权重这样做（h = 10⁻⁴），然后才让每个权重逆着自己的斜率挪动一点：
#
#     w ← w − lr · ∂L/∂w
#
# 它返回新的权重，以及这一步*之前*的损失。所以列表里最后一个损失并不是最终权重的损失：最终权重还要再好一步。

# %%
weights, losses = start, []
for _ in range(100):
    weights, loss = update_weights(x, y, weights, lr=0.01)
    losses.append(loss)

final_loss = feed_forward(x, y, weights)
final_output = output(weights)
print(f"loss at first            {losses[0]:.5f}")
print(f"before the last update   {losses[-1]:.6f}")
print(f"after it                 {final_loss:.6f}")
print(f"output                   {final_output:.4f}")
for name, w in zip(("W1", "b1", "W2", "b2"), weights, strict=True):
    row = w.ravel() if name == "W2" else w            # W2 is a column; written as a row it is easier to read
    print(f"{name} =", np.array2string(row, precision=4, floatmode="fixed", prefix="W1 = "))

# %% [en]
# ## The printing with zeros
#
# A common printing of this example shows zeros where the final weights should stand. They cannot be the result of this
# run, and one line of code proves it: with all weights 0 the output is exactly 0, and so is the loss, while the
# network at hand answers −0.0175.
#
# How zeros come about can be shown, too. Every final weight lies between −1 and 1, and whatever turns such a number
# into an integer (`astype(int)`, the format `%d`, an array that was made of integers) cuts it to 0. The last is the
# worst: NumPy puts 0.0142 into an array of integers without a word, as 0, and training stands still. For that reason
# `update_weights` refuses arrays of integers.

# %% [zh]
# ## 印成 0 的版本
#
# 这个例子有一种常见的印本，在该印最终权重的地方印的是 0。那不可能是这次运行的结果，一行代码就能证明：权重全是 0 的话，
# 输出恰好是 0，损失也恰好是 0；而眼前这个网络的回答是 −0.0175。
#
# 0 是怎么来的，也可以演示。最终的权重都在 −1 和 1 之间，凡是把这样的数变成整数的操作（`astype(int)`、格式 `%d`、由整数
# 构成的数组）都会把它截成 0。最后一种最糟：把 0.0142 写进整数数组，NumPy 一声不吭地存成 0，训练就原地不动了。所以
# `update_weights` 拒绝接受整数数组。

# %%
zeros = [np.zeros_like(w) for w in weights]
print(f"all weights 0: output {output(zeros):.4f}, loss {feed_forward(x, y, zeros):.6f}")
print(f"the network:   output {final_output:.4f}, loss {final_loss:.6f}")

cut = [w.astype(int) for w in weights]
print("the final weights as integers:", *(w.ravel().tolist() for w in cut))
stuck = np.array([0, 0, 0])
stuck[0] += 0.0142                                    # no error, no warning
print("after adding 0.0142 to an integer:", stuck)
try:
    update_weights(x, y, cut, lr=0.01)
except TypeError as error:
    refusal = str(error)
    print("update_weights:", refusal)

# %% [en]
# ## The same by backpropagation
#
# `feed_forward` is made of gates. Give it tensors, and one pass backward yields all 13 slopes exactly (chapter 6 shows
# how). After 100 epochs the weights are the same to four decimal places.

# %% [zh]
# ## 用反向传播做同样的事
#
# `feed_forward` 是由门组成的。把张量交给它，反向走一遍就得到全部 13 个精确的斜率（第 6 章讲怎么做到）。100 轮之后，两种
# 方法得到的权重在四位小数上一致。

# %%
def update_by_backprop(weights, lr):
    """Take a step with the exact gradient."""
    tensors = [cr.Tensor(w, requires_grad=True) for w in weights]
    loss = feed_forward(x, y, tensors)
    loss.backward()
    return [w - lr * t.grad.numpy() for w, t in zip(weights, tensors, strict=True)], loss.item()


exact, exact_losses = start, []
for _ in range(100):
    exact, loss = update_by_backprop(exact, lr=0.01)
    exact_losses.append(loss)

apart = max(np.abs(w - v).max() for w, v in zip(weights, exact, strict=True))
print(f"loss before the last update: {losses[-1]:.6f} and {exact_losses[-1]:.6f}")
print(f"largest difference between the weights: {apart:.1e}")
figure = lines({"finite differences": losses, "backpropagation": exact_losses}, "100 epochs: one curve upon the other",
               x="epoch", y="loss", log="y")
figure.axes[0].lines[1].set_linestyle("--")
save(figure, "05-loss")

# %% [en]
# ## More epochs
#
# The output comes nearer to 0 the longer we train, but by finite differences not all the way. A forward difference
# is the slope half a step further on, at w + h/2. So it is 0 not at the minimum but half a step below it, and there the
# training stops. With exact slopes nothing but rounding is left.

# %% [zh]
# ## 更多轮
#
# 训练得越久，输出离 0 越近；但用有限差分，到不了头。前向差分其实是往前半步、在 w + h/2 处的斜率，所以它等于 0 的地方
# 不是最小值，而是比最小值低半步的地方，训练便停在那里。用精确的斜率，最后就只剩下舍入误差。

# %%
nearer = {100: (final_output, output(exact))}
longer, longer_exact = weights, exact
for epoch in range(101, 1001):
    longer, _ = update_weights(x, y, longer, lr=0.01)
    longer_exact, _ = update_by_backprop(longer_exact, lr=0.01)
    if epoch in (200, 300, 1000):
        nearer[epoch] = (output(longer), output(longer_exact))
print("epochs   output by differences   by backpropagation")
for epoch, (one, other) in nearer.items():
    print(f"{epoch:6} {one:23.2e} {other:20.2e}")

# %% [en]
# ## Which h?
#
# A large h gives the slope of somewhere else. A tiny h drowns in rounding: L(w + h) and L(w) agree in nearly all of
# their 16 digits, and the difference keeps the rest. The best lies in between; theory puts it near √ε ≈ 10⁻⁸ for the
# forward difference, where ε = 2·10⁻¹⁶ is the precision of a float64. Looking to both sides,
# (L(w + h) − L(w − h)) / 2h, is far better, and best near ∛ε ≈ 10⁻⁵: gradient checks do that.

# %% [zh]
# ## h 取多大？
#
# h 太大，得到的是别处的斜率；h 太小，就淹没在舍入误差里：L(w + h) 和 L(w) 的 16 位数字几乎全都相同，相减之后剩不下
# 几位。最好的值在两者之间：理论上，前向差分在 √ε ≈ 10⁻⁸ 附近，ε = 2·10⁻¹⁶ 是 float64 的精度。两边都看一看，
# (L(w + h) − L(w − h)) / 2h，要好得多，最好的 h 在 ∛ε ≈ 10⁻⁵ 附近：梯度检验就是这样做的。

# %%
def loss_at(first):
    """Return the loss for another W1[0,0]."""
    W1 = start[0].copy()
    W1[0, 0] = first
    return feed_forward(x, y, [W1, *start[1:]])


tensors = [cr.Tensor(w, requires_grad=True) for w in start]
feed_forward(x, y, tensors).backward()
true_slope, w = tensors[0].grad.numpy()[0, 0], start[0][0, 0]
steps = 10.0 ** np.arange(-14, 0)
forward_errors = [abs((loss_at(w + h) - loss_at(w)) / h - true_slope) for h in steps]
central_errors = [abs((loss_at(w + h) - loss_at(w - h)) / (2 * h) - true_slope) for h in steps]
for name, errors in (("forward", forward_errors), ("central", central_errors)):
    print(f"{name} differences: error {errors[-4]:.0e} at h = {steps[-4]:.0e}; {min(errors):.0e} at the best, "
          f"h = {steps[np.argmin(errors)]:.0e}")
save(lines({"forward": (steps, forward_errors), "central": (steps, central_errors)},
           "Too long a step, or rounding", x="h", y="error of the slope", log="xy"), "05-step")

# %% [en]
# ## What it costs
#
# With n weights a step by finite differences runs the network n + 1 times, backpropagation runs it once forward and
# once backward, whatever n. Besides, each run takes longer in a larger network, so that the time grows faster than n.
# The last line reckons what a single step would take with a million weights, which is a small network today.

# %% [zh]
# ## 它的代价
#
# 有 n 个权重时，用有限差分走一步要把网络跑 n + 1 遍；反向传播不论 n 多大，都只是正向一遍、反向一遍。何况网络越大，
# 跑一遍也越慢，所以时间比 n 增长得还快。最后一行推算一百万个权重走一步要多久；如今这只能算小网络。

# %%
def seconds(run, repeats=3):
    """Return the shortest time of a few runs."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


rng = np.random.default_rng(0)
many_x, many_y = rng.normal(size=(10, 20)), rng.normal(size=(10, 1))


def backpropagate(weights):
    """Compute all slopes exactly."""
    feed_forward(many_x, many_y, [cr.Tensor(w, requires_grad=True) for w in weights]).backward()


def network(hidden):
    """Make weights for 20 inputs, so many hidden units and one output."""
    return [rng.normal(size=(20, hidden)), np.zeros(hidden), rng.normal(size=(hidden, 1)), np.zeros(1)]


parameters, by_nudging, by_backprop = [], [], []
print("weights   differences   backprop     ratio")
for hidden in (1, 3, 10, 30) if quick() else (1, 3, 10, 30, 100, 300):
    some = network(hidden)
    parameters.append(sum(w.size for w in some))
    by_nudging.append(seconds(lambda some=some: update_weights(many_x, many_y, some, lr=0.01)))
    by_backprop.append(seconds(lambda some=some: backpropagate(some)))
    print(f"{parameters[-1]:7} {1000 * by_nudging[-1]:10.2f} ms {1000 * by_backprop[-1]:7.2f} ms "
          f"{by_nudging[-1] / by_backprop[-1]:8.0f}×")
save(lines({"finite differences": (parameters, by_nudging), "backpropagation": (parameters, by_backprop)},
           "One gradient", x="weights", y="seconds", log="xy"), "05-time")

million = network(45_454)
size = sum(w.size for w in million)
one_run = seconds(lambda: feed_forward(many_x, many_y, million))
one_gradient = seconds(lambda: backpropagate(million))
print(f"{size:,} weights: {size + 1:,} runs of {1000 * one_run:.1f} ms are {(size + 1) * one_run / 3600:.1f} hours; "
      f"backpropagation took {1000 * one_gradient:.0f} ms")

# %% [en]
# Finite differences keep one use, and an important one: they know nothing of our formulas, so they can check them.
# Every gradient in this library was checked so (`chainrule.check_gradients`, chapter 8).
#
# ## Exercises
#
# 1. Leave the line `weights[i][index] = kept` out of a loop over all weights. What does each slope measure then? By
#    how much is the last one wrong?
# 2. Write `update_weights` yourself with `slope_by_nudging`, and compare the weights after 100 epochs.
# 3. Use central differences. How near to 0 does the output come in 1,000 epochs?
# 4. Turn `start` into float32 and let `slope_by_nudging` compute in it. For which h is the slope of use at all?
# 5. At which rate lr does training begin to swing, and at which does it blow up?
#
# To work on with tests (`chainrule by-hand 5 --copy DIR`): `centred_differences.py`, slopes from both sides, and an
# `update_weights` that uses them.

# %% [zh]
# 有限差分还有一个用处，而且很重要：它不知道我们的公式，所以能检验公式。这个库里的每一个梯度都这样检验过
# （`chainrule.check_gradients`，见第 8 章）。
#
# ## 练习
#
# 1. 写一个遍历所有权重的循环，去掉 `weights[i][index] = kept` 这一行。这时每个斜率量的是什么？最后一个错了多少？
# 2. 用 `slope_by_nudging` 自己写一个 `update_weights`，比较 100 轮之后的权重。
# 3. 改用中心差分。1,000 轮之后，输出离 0 有多近？
# 4. 把 `start` 变成 float32，让 `slope_by_nudging` 用它计算。h 取多大时斜率才有用？
# 5. 学习率 lr 到多大时训练开始摇摆？到多大时发散？
#
# 可以配着测试做的练习（`chainrule by-hand 5 --copy DIR`）：`centred_differences.py`，两边都看的斜率，以及用它的
# `update_weights`。
