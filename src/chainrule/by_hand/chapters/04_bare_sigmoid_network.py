# about 5 s

# %% [en]
# # 4. A bare two-layer sigmoid network
#
# No layers, no classes, no framework: two matrices, one bend between them, and a loop. It fits on a screen, and every
# part of it returns in larger networks. At the end stands the question what the bend in the middle is for.
#
#     H = σ(X·W₁)        Ŷ = H·W₂        L = Σ (Ŷ − Y)²
#
# X holds 64 samples, one a row, of 1,000 numbers each. H holds what the 100 hidden units make of them, Ŷ ("Y hat") the
# 10 predictions for each sample, and L is one number: the squared errors of all samples and outputs, added up.

# %% [zh]
# # 4. 一个裸的两层 sigmoid 网络
#
# 没有层，没有类，也没有框架：两个矩阵，中间弯一下，外加一个循环。整个程序一屏就放得下，而它的每一部分都会在更大的网络里
# 再次出现。最后要回答的问题是：中间弯的那一下究竟有什么用？
#
#     H = σ(X·W₁)        Ŷ = H·W₂        L = Σ (Ŷ − Y)²
#
# X 有 64 个样本，一行一个，每个样本 1000 个数。H 是 100 个隐藏单元的输出，Ŷ（读作“Y 帽”）是每个样本的 10 个预测值，
# L 是一个数：所有样本、所有输出的平方误差之和。

# %%
import numpy as np

import chainrule as cr
from chainrule import data
from chainrule.by_hand.pictures import lines, panels
from chainrule.by_hand.reading import save

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((64, 1000)), rng.standard_normal((64, 10))
W1, W2 = rng.standard_normal((1000, 100)), rng.standard_normal((100, 10))


def forward(X, W1, W2):
    """Return the hidden layer and the predictions."""
    H = 1 / (1 + np.exp(-(X @ W1)))
    return H, H @ W2


H, prediction = forward(X, W1, W2)
loss = np.sum((prediction - Y) ** 2)
print(f"X {X.shape}   W1 {W1.shape}   H {H.shape}   W2 {W2.shape}   prediction {prediction.shape}")
print(f"loss before training: {loss:,.0f}")

# %% [en]
# ## The way back, by hand
#
# dŶ is short for ∂L/∂Ŷ: an array of the shape of Ŷ that says, element by element, how L changes. Begin at the loss and
# go back one line of the forward pass at a time:
#
#     dŶ  = 2(Ŷ − Y)              the slope of a square
#     dW₂ = Hᵀ·dŶ                 from Ŷ = H·W₂
#     dH  = dŶ·W₂ᵀ                from the same line: a product has two factors
#     dS  = dH ∘ H ∘ (1 − H)      S = X·W₁ goes through σ, element by element, whose slope is σ(1 − σ)
#     dW₁ = Xᵀ·dS                 as for W₂
#
# Nobody remembers where the transposes go, and nobody has to. dW₂ has the shape of W₂, (100, 10). It is made of H,
# (64, 100), and dŶ, (64, 10). There is one way to multiply these two into that shape.

# %% [zh]
# ## 手工推导反向传播
#
# dŶ 是 ∂L/∂Ŷ 的简写：它是与 Ŷ 形状相同的数组，逐个元素地说明 L 会怎样变化。从损失出发，每次沿前向传播退回一行：
#
#     dŶ  = 2(Ŷ − Y)              平方的斜率
#     dW₂ = Hᵀ·dŶ                 来自 Ŷ = H·W₂
#     dH  = dŶ·W₂ᵀ                来自同一行：乘积有两个因子
#     dS  = dH ∘ H ∘ (1 − H)      S = X·W₁ 逐元素经过 σ，σ 的斜率是 σ(1 − σ)
#     dW₁ = Xᵀ·dS                 与 W₂ 同理
#
# 转置该写在哪里，谁也记不住，也不必记。dW₂ 的形状与 W₂ 相同，是 (100, 10)；它由 (64, 100) 的 H 和 (64, 10) 的 dŶ
# 得来。要把这两个矩阵乘成那个形状，只有一种写法。

# %%
def backward(X, Y, H, prediction, W2):
    """Return the gradients of the loss by W1 and W2."""
    d_prediction = 2 * (prediction - Y)
    d_W2 = H.T @ d_prediction
    d_H = d_prediction @ W2.T
    d_S = d_H * H * (1 - H)
    return X.T @ d_S, d_W2


by_hand = dict(zip(("W1", "W2"), backward(X, Y, H, prediction, W2), strict=True))

# %% [en]
# ## The framework says the same
#
# Here the forward pass is written once more, with tensors, and that is all: each gate knows its own derivative, and
# `backward()` goes back through them. The two ways differ only in the last digits, where floats are rounded in another
# order.

# %% [zh]
# ## 框架给出同样的结果
#
# 这里把前向传播用张量再写一遍，仅此而已：每个门都知道自己的导数，`backward()` 沿着它们走回来。两种做法只在最后几位
# 数字上不同，因为浮点数舍入的次序不一样。

# %%
first, second = cr.Tensor(W1, requires_grad=True), cr.Tensor(W2, requires_grad=True)
total = (((cr.Tensor(X) @ first).sigmoid() @ second - Y) ** 2).sum()
total.backward()
by_framework = {"W1": first.grad.numpy(), "W2": second.grad.numpy()}
differences = {}
for name, gradient in by_framework.items():
    differences[name] = np.abs(by_hand[name] - gradient).max() / np.abs(gradient).max()
    print(f"d{name}: largest element {np.abs(gradient).max():8.1f}, relative difference {differences[name]:.1e}")

# %% [en]
# ## Two thousand steps
#
# Gradient descent takes all samples at once and goes a little against the gradient. The rate 1e-4 looks timid. It is
# not: the loss is a sum over 640 squares, so its gradient is 640 times that of their mean. With a mean, the very same
# step would be written with the rate 0.064. A learning rate means nothing without the loss it belongs to.
#
# Both gradients are computed before either matrix moves. To update W₂ first and then use the new one in dH is a common
# slip: the errors of the old weights are sent back through the new ones. The loss may fall all the same, which is why
# nobody notices.

# %% [zh]
# ## 两千步
#
# 梯度下降每次用上全部样本，逆着梯度走一小步。学习率 1e-4 看上去很胆小，其实不然：损失是 640 个平方之和，梯度也就是取
# 平均时的 640 倍；换成平均值，同样一步的学习率就要写成 0.064。离开了所属的损失，学习率这个数没有意义。
#
# 两个梯度都算好以后，才能更新矩阵。先更新 W₂，再用新的 W₂ 去算 dH，是常见的疏忽：旧权重的误差被送回了新权重。损失往往
# 照样下降，所以没有人察觉。

# %%
def train(X, Y, W1, W2, steps=2000, lr=1e-4):
    """Return the loss before each step, and the weights after the last."""
    losses = []
    for _ in range(steps):
        H, prediction = forward(X, W1, W2)
        losses.append(float(np.sum((prediction - Y) ** 2)))
        d_W1, d_W2 = backward(X, Y, H, prediction, W2)
        W1, W2 = W1 - lr * d_W1, W2 - lr * d_W2
    return losses, W1, W2


losses, trained_W1, trained_W2 = train(X, Y, W1, W2)
for step in (0, 10, 100, 500, 1000, 1500, 1999):
    print(f"step {step:4}   loss {losses[step]:12,.2f}")
save(lines({"loss": losses}, "A bare two-layer network", x="step", y="sum of squared errors", log="y"), "04-loss")

# %% [en]
# ## And what has it learned?
#
# Nothing. X and Y were drawn independently of each other: there is nothing to find out. The network has 101,000
# weights and 640 numbers to hit, so it can know them by heart. Give it 64 new samples from the same source, and it does
# far worse than somebody who always answers 0. A falling loss proves that the gradient is right and the rate is small
# enough. It does not prove that anything was understood; only data which took no part in training can tell.
#
# Look inside, too. Each hidden unit adds up 1,000 products of random numbers, so the sums S are about √1000 ≈ 32 in
# size, and σ is flat out there: of all hidden values few lie between 0.01 and 0.99, and the average slope is far below
# the 0.25 of a sigmoid in its middle. Little comes back through a flat function, so W₁ hardly moves. Most of the work
# is done by W₂, on hidden units that stay almost as random as they were; W₂ alone would get as far as printed last.
# Chapters 2, 8 and 9 come back to this: **how large the first weights are decides who can learn.**

# %% [zh]
# ## 它学到了什么？
#
# 什么也没学到。X 和 Y 是各自独立抽取的，本来就没有规律可循。网络有 101,000 个权重，要凑出的数只有 640 个，背下来就行。
# 换 64 个同样来源的新样本，它的表现远不如一个永远回答 0 的人。损失下降只能证明梯度算对了、学习率够小，不能证明学到了
# 什么；只有没参加训练的数据才有资格评判。
#
# 再看看内部。每个隐藏单元把 1000 个随机数的乘积加起来，所以和 S 的大小约为 √1000 ≈ 32，而 σ 在那么远的地方是平的：
# 隐藏层的值很少落在 0.01 与 0.99 之间，平均斜率远小于 sigmoid 正中间的 0.25。平坦的函数几乎传不回什么，W₁ 也就几乎
# 不动。大部分工作由 W₂ 完成，而它面对的隐藏单元仍和当初差不多一样随机；只训练 W₂ 能走多远，见最后打印的一行。第 2、8、9
# 章还会回到这一点：**初始权重有多大，决定了谁能学习。**

# %%
new_X, new_Y = rng.standard_normal((64, 1000)), rng.standard_normal((64, 10))
loss_on_new = np.sum((forward(new_X, trained_W1, trained_W2)[1] - new_Y) ** 2)
loss_of_zeros = np.sum(new_Y ** 2)
print(f"loss on the samples it was trained on {losses[-1]:10,.1f}")
print(f"loss on new samples                   {loss_on_new:10,.1f}")
print(f"loss of always answering 0            {loss_of_zeros:10,.1f}")

alive = np.mean((H > 0.01) & (H < 0.99))
average_slope = np.mean(H * (1 - H))
print(f"size of the sums S: {np.std(X @ W1):.1f}; hidden values between 0.01 and 0.99: {alive:.0%}; "
      f"average slope: {average_slope:.3f}")
moved = {"W1": np.linalg.norm(trained_W1 - W1) / np.linalg.norm(W1),
         "W2": np.linalg.norm(trained_W2 - W2) / np.linalg.norm(W2)}
print(f"in 2,000 steps W1 moved by {moved['W1']:.1%} of its length, W2 by {moved['W2']:.0%}")

only_W2 = W2
for _ in range(2000):
    only_W2 = only_W2 - 1e-4 * H.T @ (2 * (H @ only_W2 - Y))
loss_of_W2_alone = np.sum((H @ only_W2 - Y) ** 2)
print(f"loss after 2,000 steps of W2 alone: {loss_of_W2_alone:.1f}")

# %% [en]
# ## The same shape with another bend
#
# Lectures like to write such a network as a formula of one sample, x, a column:
#
#     f(x) = W₂·max(0, W₁·x)
#
# Same shape, other bend, and all transposed: with samples in columns W₁ is (hidden, inputs). max(0, ·) lets through
# what is positive and blocks the rest, and its gradient goes the same way: through where it was open, 0 where it was
# not. For the sum of all elements of f over some samples, by hand and by the framework:

# %% [zh]
# ## 同样的形状，换一种弯法
#
# 讲义喜欢把这样的网络写成单个样本 x（一列）的公式：
#
#     f(x) = W₂·max(0, W₁·x)
#
# 形状相同，弯法不同，并且全部转置：样本放在列里时，W₁ 是 (隐藏单元数, 输入数)。max(0, ·) 放行正数，挡住其余；梯度走的
# 是同一条路：当时开着的地方通过，当时关着的地方是 0。取若干样本上 f 的所有元素之和，手工和框架各算一次：

# %%
samples = rng.standard_normal((5, 20))                   # 20 samples of 5 numbers, in columns
A1, A2 = rng.standard_normal((7, 5)), rng.standard_normal((3, 7))
S = A1 @ samples
f = A2 @ np.maximum(0, S)

d_f = np.ones_like(f)
d_A2 = d_f @ np.maximum(0, S).T
d_A1 = (A2.T @ d_f * (S > 0)) @ samples.T

left, right = cr.Tensor(A2, requires_grad=True), cr.Tensor(A1, requires_grad=True)
(left @ np.maximum(0, right @ samples)).sum().backward()
relu_difference = max(np.abs(d_A1 - right.grad.numpy()).max(), np.abs(d_A2 - left.grad.numpy()).max())
print(f"open gates: {np.sum(S > 0)} of {S.size};  largest difference of the gradients: {relu_difference:.1e}")

# %% [en]
# ## Take the bend away
#
# Without max(0, ·) there are two matrices left, and brackets can be moved:
#
#     W₂·(W₁·x) = (W₂·W₁)·x
#
# The product W₂·W₁ is one matrix. Two linear layers, or twenty, compute nothing that a single one does not; the hidden
# units are an expensive way to write it down. With the bend no such matrix exists. A matrix gives f(x) + f(−x) = 0 for
# each x; ours does not.

# %% [zh]
# ## 把弯的那一下拿掉
#
# 没有 max(0, ·)，就只剩下两个矩阵，而括号可以移动：
#
#     W₂·(W₁·x) = (W₂·W₁)·x
#
# 乘积 W₂·W₁ 是一个矩阵。两个线性层也好，二十个也好，算出来的东西一个线性层就能算；隐藏单元只是一种昂贵的写法。有了
# 那一弯，就不存在这样的矩阵：矩阵必定对每个 x 满足 f(x) + f(−x) = 0，我们的 f 并不满足。

# %%
collapsed = A2 @ A1
collapse_difference = np.abs(A2 @ (A1 @ samples) - collapsed @ samples).max()
oddness = np.abs(A2 @ np.maximum(0, A1 @ samples) + A2 @ np.maximum(0, A1 @ -samples)).max()
print(f"two matrices {A2.shape} and {A1.shape}, or one {collapsed.shape}: largest difference {collapse_difference:.1e}")
print(f"with max(0, ·): f(x) + f(−x) goes up to {oddness:.2f}")

# %% [en]
# ## XOR: what a straight line cannot do
#
# Two inputs, each −1 or 1; the answer is 1 if they differ and −1 if they are equal. Look at any linear f: the four
# corners come in two opposite pairs, f(x) and f(−x) have opposite signs, yet the answers at x and −x are equal. So the
# best that a linear network can do is to answer 0 everywhere. Its mean squared error is then 1, as good as a coin.
#
# With the bend, four hidden units are enough, and one can write down their weights: |x₁ − x₂| is
# max(0, x₁ − x₂) + max(0, x₂ − x₁), likewise |x₁ + x₂|, and half their difference is the answer.
#
# Gradient descent finds this out by itself. Both networks below have 16 hidden units, begin with the same weights and
# take the same steps; one has the bend. Afterwards they are asked about 2,000 new points around the corners.

# %% [zh]
# ## 异或：直线办不到的事
#
# 两个输入，各为 −1 或 1；两者不同时答案是 1，相同时是 −1。任取一个线性的 f：四个角组成两对相反的点，f(x) 与 f(−x)
# 符号相反，可是 x 与 −x 处的答案却相同。所以线性网络最好的办法就是处处回答 0，这时均方误差是 1，和抛硬币一样。
#
# 有了那一弯，四个隐藏单元就够了，权重可以直接写出来：|x₁ − x₂| 等于 max(0, x₁ − x₂) + max(0, x₂ − x₁)，|x₁ + x₂| 同理，
# 两者之差的一半就是答案。
#
# 梯度下降自己就能发现这一点。下面两个网络都有 16 个隐藏单元，从同样的权重出发，走同样的步数，只有一个带弯。训练之后，
# 再拿四个角附近的 2000 个新点去考它们。

# %%
def corners(samples, noise=0.0):
    """Return points around the corners (±1, ±1), in columns, and whether their coordinates differ: 1 or −1."""
    points, differ = data.xor(samples, noise=noise)[:]
    return 2 * points.T - 1.0, 2.0 * differ[None] - 1


def learn(X, Y, bend, hidden=16, steps=2000, lr=0.05, seed=0):
    """Train W2·max(0, W1·x), or W2·(W1·x), on the mean squared error."""
    draw = np.random.default_rng(seed)
    W1, W2 = draw.standard_normal((hidden, 2)), draw.standard_normal((1, hidden)) / np.sqrt(hidden)
    errors = []
    for _ in range(steps):
        S = W1 @ X
        H = np.maximum(0, S) if bend else S
        error = W2 @ H - Y
        errors.append(float(np.mean(error ** 2)))
        d_f = 2 * error / error.size
        d_H = W2.T @ d_f
        d_S = d_H * (S > 0) if bend else d_H
        W1, W2 = W1 - lr * d_S @ X.T, W2 - lr * d_f @ H.T
    return errors, lambda X: W2 @ (np.maximum(0, W1 @ X) if bend else W1 @ X)


X4, Y4 = corners(4)
written_W1, written_W2 = np.array([[1, -1], [-1, 1], [1, 1], [-1, -1]]), np.array([[0.5, 0.5, -0.5, -0.5]])
written = written_W2 @ np.maximum(0, written_W1 @ X4)
print("the answers       ", Y4[0])
print("weights as written", written[0])

points, answers = corners(2000, noise=0.1)
errors, networks, accuracy = {}, {}, {}
for kind in ("linear", "with the bend"):
    errors[kind], networks[kind] = learn(X4, Y4, bend=kind == "with the bend")
    accuracy[kind] = np.mean(np.sign(networks[kind](points)) == answers)
    outputs = networks[kind](X4)[0].round(3) + 0.0       # + 0.0: a zero without a sign
    print(f"{kind:14} mean squared error {errors[kind][-1]:.6f}, outputs {outputs}, new points: {accuracy[kind]:.1%}")
print(f"largest output of the linear network on the new points: {np.abs(networks['linear'](points)).max():.0e}")

figure, (curves, plane) = panels(2)
lines({kind: each[:200] for kind, each in errors.items()}, "XOR", x="step", y="mean squared error", axes=curves)
grid = np.linspace(-1.8, 1.8, 181)
surface = networks["with the bend"](np.stack([each.ravel() for each in np.meshgrid(grid, grid)])).reshape(181, 181)
plane.contourf(grid, grid, surface > 0, levels=[-0.5, 0.5, 1.5], colors=["#f6dcdf", "#d8e6fb"])
plane.scatter(*points[:, ::9], c=np.where(answers[0, ::9] > 0, "#1f6feb", "#d1495b"), s=6)
plane.set_title("The answer of the network with the bend", loc="left", fontsize=11)
save(figure, "04-xor")

# %% [en]
# ## Why "at chance" is not "one half right"
#
# The linear network answers 0, up to rounding errors, and the score goes by their sign. That is a line through the
# middle: however it lies, it has two of the four clouds on its right side and two on its wrong one, about 50 %. A line
# that is moved aside cuts off one corner and scores 75 %. That is the best any line can do, and it looks like learning.
# The error tells more than the score: it stays at 1, the value for "I do not know". Chapter 8 has a larger case of the
# same illusion.
#
# ## Exercises
#
# 1. Scale W₁ by 1/√1000 before training. What become of the average slope and of how far W₁ moves? Which rates work
#    now?
# 2. Make the mistake: update W₂ before dH is computed. Compare the losses after 10, 100 and 2,000 steps.
# 3. Run in float32: `X.astype(np.float32)` and so on. `np.exp` warns. From which sums S on, and is the result wrong?
#    Compare with `chainrule.gates.sigmoid`.
# 4. Learn XOR with 4, 8 and 16 hidden units: from how many of 100 seeds does it succeed? Why can it not with 3, as
#    long as there are no biases?
# 5. Show on paper that also with biases a network of linear layers is one linear layer with one bias.

# %% [zh]
# ## 为什么“瞎猜”不等于“对一半”
#
# 线性网络的回答是 0，只差舍入误差，而正确率看的正是舍入误差的正负号。这相当于一条穿过正中的直线：不管怎么放，四团点里
# 总有两团在对的一侧，两团在错的一侧，正确率约为 50%。把直线挪到一边，切下一个角，可以得到 75%；这是任何直线的极限，
# 看上去却像是学到了东西。误差比正确率更说明问题：它停在 1，也就是“我不知道”的那个值。第 8 章有一个更大的例子，是同一种
# 错觉。
#
# ## 练习
#
# 1. 训练之前把 W₁ 乘上 1/√1000。平均斜率和 W₁ 移动的距离会怎样？现在哪些学习率可用？
# 2. 故意犯那个错误：先更新 W₂，再算 dH。比较 10 步、100 步和 2000 步之后的损失。
# 3. 改用 float32：`X.astype(np.float32)` 等等。`np.exp` 会给出警告。S 从多大开始？结果错了吗？与
#    `chainrule.gates.sigmoid` 比较。
# 4. 用 4、8、16 个隐藏单元学异或，100 个随机种子里各有多少个成功？没有偏置时，3 个隐藏单元为什么不可能成功？
# 5. 在纸上证明：即使带有偏置，由线性层组成的网络也等于一个带偏置的线性层。
