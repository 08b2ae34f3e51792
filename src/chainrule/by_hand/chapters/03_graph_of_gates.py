# about 2 s

# %% [en]
# # 3. A computational graph of gates
#
# A formula, however long, is a few simple gates one after the other: add, multiply, exp. Each gate knows two small
# things: its result, and how its result changes with each of its inputs. It knows nothing of the rest. The chain rule
# puts the small things together, and this chapter watches it do so, gate by gate, on
#
# $$f = (x + y) · z$$
#
# By hand first. Call the sum q, so that f = q·z. Then
#
# - $∂f/∂q = z$ and $∂f/∂z = q$, since f is a product;
# - $∂q/∂x = 1$ and $∂q/∂y = 1$, since q is a sum;
# - so $∂f/∂x = ∂f/∂q · ∂q/∂x = z$, and $∂f/∂y = z$ likewise.
# %% [zh]
# # 3. 由门组成的计算图
#
# 再长的公式，也不过是几种简单的门一个接一个：加、乘、exp。每个门只知道两件小事：自己的结果，以及结果随每个输入怎样变
# 化。其余的它一概不知。链式法则把这些小事拼起来；这一章就一个门一个门地看它怎么拼，例子是
#
# $$f = (x + y) · z$$
#
# 先用手算。把和记作 q，于是 f = q·z。那么
#
# - $∂f/∂q = z$，$∂f/∂z = q$，因为 f 是乘积；
# - $∂q/∂x = 1$，$∂q/∂y = 1$，因为 q 是和；
# - 所以 $∂f/∂x = ∂f/∂q · ∂q/∂x = z$，同理 $∂f/∂y = z$。
# %%
import numpy as np

import chainrule as cr
from chainrule.by_hand.pictures import flow, panels
from chainrule.by_hand.reading import save

graph = cr.Graph()
x, y, z = graph.inputs("x", "y", "z")
q = x + y
f = q * z
q.name, f.name = "q", "f"
graph.output(f)

value = graph.forward(x=-2, y=5, z=-4)
gradients = graph.backward()
by_hand = {"x": z.value, "y": z.value, "z": q.value, "q": z.value, "f": 1}        # the formulas above

print("f =", value)
print(f"{'':4}{'by hand':>10}{'graph':>10}")
for node in graph.nodes:
    print(f"{node.name:4}{by_hand[node.name]:>10}{node.gradient:>10}")
save(flow(graph, "f = (x + y)·z: values, and gradients of f"), "03-graph")

# %% [en]
# Read a gradient as a wish. f is -12; to make it larger, says -4 at x, make x smaller, and f grows four times as fast
# as x shrinks. The intermediate q has its wish as well, and that of f itself is 1: it is what it is.
#
# ## The two loops are yours
#
# There is nothing in `graph.forward` and `graph.backward` that you could not write. The nodes lie in topological order:
# each stands behind all that it needs. So going forward means running every gate in that order, and going backward
# means letting every gate hand back its gradient in the opposite order, for then all that a node is to receive has come
# before it must hand anything on.
# %% [zh]
# 把梯度当作一个愿望来读。f 等于 -12；要让它变大，x 处的 -4 说：把 x 变小，f 增大的速度是 x 减小速度的四倍。中间结果 q
# 也有自己的愿望；f 自己的梯度是 1：它就是它。
#
# ## 两个循环由你来写
#
# `graph.forward` 和 `graph.backward` 里没有什么是你写不出来的。节点按拓扑顺序排列：每个节点都排在它所需要的一切之后。所
# 以前向就是按这个顺序运行每个门，反向就是按相反的顺序让每个门把梯度交回去：这样，轮到一个节点往回交的时候，它该收到的都
# 已经收到了。
# %%
x.value, y.value, z.value = -2, 5, -4

for gate in graph.nodes:
    gate.forward()

for gate in reversed(graph.nodes):
    gate.backward()

own = {node.name: node.gradient for node in (x, y, z)}
print("my loops:  ", f.value, own)
print("the graph: ", value, gradients)
print("the order: ", " ".join(node.name for node in graph.nodes))

# %% [en]
# Elsewhere such a graph is called `ComputationalGraph`, and its list `nodes_topologically_sorted()`. These are other
# names of the same things:
# %% [zh]
# 在别处，这样的图叫 `ComputationalGraph`，节点列表叫 `nodes_topologically_sorted()`。它们只是同一样东西的别名：
# %%
print(cr.ComputationalGraph is cr.Graph, graph.nodes_topologically_sorted() == graph.nodes)

# %% [en]
# ## Four patterns
#
# Whoever has seen these four reads a graph without calculating.
#
# **Add distributes.** Both inputs receive the whole gradient of the sum. It is often said to be *split*: it is not,
# nobody gets a half.
#
# **Max routes.** The larger input receives all, the other nothing: a small change of the loser changes nothing. At a
# tie there is no derivative; the convention here, as in PyTorch, is half for each.
#
# **Multiply swaps.** Each input receives the gradient times the *other* input. So large inputs mean large gradients for
# the weights they meet: that is why one scales data before training.
#
# **A fork adds.** A value that is used twice receives a gradient from each use, and they add up.
# %% [zh]
# ## 四种规律
#
# 认得这四种，不用算就能读懂一张图。
#
# **加法分发。** 两个输入都得到和的全部梯度。常有人说梯度被*平分*了：不是的，没有谁只拿一半。
#
# **最大值选路。** 大的那个输入得到全部，另一个什么也得不到：输的一方略有变化，结果不变。相等时导数不存在；这里的约定与
# PyTorch 相同，各得一半。
#
# **乘法交换。** 每个输入得到梯度乘以*另一个*输入。所以输入大，与它相乘的权重的梯度就大：这就是训练前要缩放数据的原因。
#
# **分叉相加。** 一个值被用了两次，就从每次使用各得一份梯度，加在一起。
# %%
def pattern(title, build, **values):
    """Build a graph, run it both ways, print what its inputs receive."""
    graph = cr.Graph()
    graph.output(build(*graph.inputs(*values)) if len(values) > 1 else build(graph.input(*values)))
    result = graph.forward(**values)
    received = graph.backward(seed=2)                    # so that one sees what is multiplied with what
    print(f"{title:22} {values} -> {result}, gradient 2 -> {received}")
    return graph, received


add_graph, added = pattern("add distributes", lambda a, b: a + b, a=3, b=-1)
max_graph, routed = pattern("max routes", lambda a, b: cr.maximum(a, b), a=3, b=-1)
_, tied = pattern("max at a tie", lambda a, b: cr.maximum(a, b), a=3, b=3)
multiply_graph, swapped = pattern("multiply swaps", lambda a, b: a * b, a=3, b=-1)
fork_graph, forked = pattern("a fork adds", lambda a: (a + 4) * a, a=3)

figure, axes = panels(2, 2, size=(4.4, 2.8))
patterns = {"add distributes": add_graph, "max routes": max_graph, "multiply swaps": multiply_graph,
            "a fork adds": fork_graph}
for panel, (title, each) in zip(axes, patterns.items(), strict=True):
    flow(each, title, axes=panel)
save(figure, "03-patterns")

# %% [en]
# The fork is where programs written by hand go wrong most often: they *set* the gradient of `a` where they should *add*
# to it, and the second use wipes out the first. Each part can be looked at:
# %% [zh]
# 手写的程序最容易在分叉处出错：本该把梯度*加*到 `a` 上，却把它*设*成了新值，第二次使用就抹掉了第一次的。每一份都可以查
# 看：
# %%
a = fork_graph.nodes[0]
parts = [part.value for part in a.contributions]
print("the parts:", parts, " their sum:", a.gradient, " overwritten, it would be:", parts[-1])

# %% [en]
# ## Sigmoid: one gate or four
#
# How small is a gate? As small as you like. The sigmoid $σ(s) = 1 / (1 + e^{-s})$ can be four gates: change the sign,
# exp, add 1, divide. Or it is one, whose derivative somebody has worked out once:
#
# $$σ'(s) = σ(s) · (1 - σ(s))$$
#
# Take a neuron with two inputs, $s = w₀ x₀ + w₁ x₁ + b$.
# %% [zh]
# ## Sigmoid：一个门还是四个门
#
# 门可以有多小？想多小就多小。sigmoid 函数 $σ(s) = 1 / (1 + e^{-s})$ 可以是四个门：变号、exp、加 1、除。也可以是一个门，
# 它的导数有人早就算好了：
#
# $$σ'(s) = σ(s) · (1 - σ(s))$$
#
# 来看一个有两个输入的神经元，$s = w₀ x₀ + w₁ x₁ + b$。
# %%
neuron = {"w0": 1.5, "x0": -0.5, "w1": -2.0, "x1": -1.0, "b": -1.0}


def neuron_graph(squash):
    """Build the neuron with a given way to write the sigmoid."""
    graph = cr.Graph()
    w0, x0, w1, x1, b = graph.inputs(*neuron)
    graph.output(squash(w0 * x0 + w1 * x1 + b))
    return graph


one_gate = neuron_graph(cr.sigmoid)
four_gates = neuron_graph(lambda s: 1 / (1 + cr.exp(-s)))

print(f"one gate:   {one_gate.forward(**neuron):.15f}")
print(f"four gates: {four_gates.forward(**neuron):.15f}")
by_one, by_four = one_gate.backward(), four_gates.backward()
for name in neuron:
    print(f"  {name:3}{by_one[name]:>20.15f}{by_four[name]:>20.15f}")
save(flow(four_gates, "A neuron, its sigmoid as four gates"), "03-sigmoid")

# %% [en]
# The same gradients, then why bother with the larger gate? Because of the ends. At s = -1000 the four gates meet
# $e^{1000}$, which no float holds: infinity on the way forward, and on the way back infinity times zero, which is not a
# number. One such NaN in one gradient, and after the next update the whole network is NaN. The single gate knows
# better:
# %% [zh]
# 梯度一样，那何必要大的那个门？为了两端。在 s = -1000 处，四个门会遇到 $e^{1000}$，没有哪个浮点数装得下：前向得到无穷
# 大，反向是无穷大乘以零，结果不是一个数。只要一个梯度里出现一个 NaN，下一次更新之后整个网络就都是 NaN。单个门应付得来：
# %%
far = dict.fromkeys(neuron, 0.0) | {"b": -1000.0}
with np.errstate(over="ignore", invalid="ignore"):
    four_far = four_gates.forward(**far), four_gates.backward()["b"]
one_far = one_gate.forward(**far), one_gate.backward()["b"]
print("four gates at -1000: value", four_far[0], "gradient", four_far[1])
print("one gate at -1000:   value", one_far[0], "gradient", one_far[1])

# %% [en]
# ## Vectors and matrices
#
# Nothing changes when arrays flow along the arrows. Take the squared length of W·x:
#
# $$q = W · x,    f = ‖q‖² = q₁² + q₂²$$
#
# By hand: $∂f/∂q = 2q$. Each $W_{ij}$ touches only $q_i$, and is multiplied by $x_j$ there: $∂f/∂W_{ij} = 2 q_i x_j$,
# an outer product. Each $x_j$ goes into every $q_i$, a fork: $∂f/∂x_j = Σ_i 2 q_i W_{ij}$. In matrices
#
# $$∇W = 2 q xᵀ,    ∇x = 2 Wᵀ q$$
#
# If you forget them, the shapes tell you: a gradient has the shape of what it belongs to, and there is only one way to
# make a 2×2 matrix from q and x.
# %% [zh]
# ## 向量和矩阵
#
# 沿箭头流动的换成数组，什么也不会变。来看 W·x 的长度的平方：
#
# $$q = W · x,    f = ‖q‖² = q₁² + q₂²$$
#
# 用手算：$∂f/∂q = 2q$。每个 $W_{ij}$ 只碰到 $q_i$，在那里与 $x_j$ 相乘：$∂f/∂W_{ij} = 2 q_i x_j$，这是外积。每个 $x_j$
# 进入所有的 $q_i$，这是分叉：$∂f/∂x_j = Σ_i 2 q_i W_{ij}$。写成矩阵
#
# $$∇W = 2 q xᵀ,    ∇x = 2 Wᵀ q$$
#
# 忘了也不要紧，形状会告诉你：梯度的形状与它所属的量相同，而用 q 和 x 做出 2×2 矩阵的办法只有一种。
# %%
W = np.array([[0.1, 0.5], [-0.3, 0.8]])
v = np.array([0.2, 0.4])

vector_graph = cr.Graph()
W_node, v_node = vector_graph.inputs("W", "x")
product = W_node @ v_node
product.name = "q"
vector_graph.output((product ** 2).sum())

length = vector_graph.forward(W=W, x=v)
vector_gradients = vector_graph.backward()
q_value = W @ v
own_W, own_v = 2 * np.outer(q_value, v), 2 * W.T @ q_value

print("f =", round(length, 12))
print("gradient of W, graph:  ", vector_gradients["W"].round(12).tolist())
print("gradient of W, by hand:", own_W.round(12).tolist())
print("gradient of x, graph:  ", vector_gradients["x"].round(12).tolist())
print("gradient of x, by hand:", own_v.round(12).tolist())

# %% [en]
# ## And if a gate is wrong?
#
# A derivative that you have worked out yourself is a claim. `check_gradients` nudges every input of every gate a little
# and compares, so that the wrong gate, its argument and its element have nowhere to hide. Here is a layer with a
# mistake that looks harmless:
# %% [zh]
# ## 如果有个门错了呢？
#
# 自己推出来的导数只是一个断言。`check_gradients` 把每个输入轻轻推一下再比较，错的是哪一个参数、哪一个元素，都无处可藏。
# 下面这个层里有一个看似无害的错误：
# %%
from chainrule import nn


class SquaredLength(nn.Layer):
    """f = x₁² + x₂² + …, with a backward of its own."""

    def forward(self, x):
        self.x = x
        return (x ** 2).sum()

    def backward(self, dout):
        return dout * self.x                             # the 2 is missing


try:
    cr.check_gradients(SquaredLength(), v)
except cr.GradientError as error:
    verdict = str(error)
    print(verdict)

# %% [en]
# ## Exercises
#
# 1. Draw $f = \max(x, y) · z + x$ on paper, at (2, -1, 3), and write the gradients on it. Then build it and compare.
#    Where is the fork?
# 2. Write the four gates of the sigmoid as functions of your own, each with its derivative, and the two loops over
#    them.
# 3. Mend `SquaredLength`, then break it in another way: return `2 * dout * self.x.sum()`. What does the check say now,
#    and for which `x` would it say nothing?
# 4. The exercise `wrong_layers.py` holds a row of suspects (`chainrule by-hand 3 --copy DIR`). Which are wrong, and in
#    which element? Find them with `check_gradients`, and mend them; tests come with it.
# %% [zh]
# ## 练习
#
# 1. 在纸上画出 $f = \max(x, y) · z + x$，取 (2, -1, 3)，把梯度写上去。再用程序搭出来比较。分叉在哪里？
# 2. 把 sigmoid 的四个门写成自己的函数，每个都带导数，再写出遍历它们的两个循环。
# 3. 改好 `SquaredLength`，再换一种错法：返回 `2 * dout * self.x.sum()`。这时检验怎么说？取什么样的 `x`，它会什么也不
#    说？
# 4. 练习 `wrong_layers.py` 里有一排嫌疑犯（`chainrule by-hand 3 --copy DIR`）。哪些是错的，错在哪个元素？用
#    `check_gradients` 找出来并改正；配有测试。
