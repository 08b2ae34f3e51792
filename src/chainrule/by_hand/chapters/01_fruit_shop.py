# about 1 s

# %% [en]
# # 1. The fruit shop
#
# Two apples at 100 each, and 10 % tax: what do they cost, and *what would change the price*? The first question takes
# two multiplications. The second takes one idea, the chain rule, and everything that a neural network learns rests on
# it. This chapter answers both, three times: with layers, with a graph, and with tensors.
#
# - $p$ is the price of an apple, $n$ their number, $t$ the factor of the tax: 1.1;
# - the total is $L = p\,n\,t$.
# %% [zh]
# # 1. 水果店
#
# 两个苹果，每个 100 元，外加 10 % 的消费税：一共多少钱？*什么会改变这个价钱*？第一个问题只要两次乘法；第二个问题只要一
# 个思想——链式法则，而神经网络学到的一切都建立在它上面。这一章用三种方式回答这两个问题：用层，用计算图，用张量。
#
# - $p$ 是苹果的单价，$n$ 是个数，$t$ 是税的系数：1.1；
# - 总价是 $L = p\,n\,t$。
# %%
apple, apples, tax = 100, 2, 1.1

print(apple * apples * tax)

# %% [en]
# ## 220.00000000000003?
#
# That is no mistake of this program. A float is a fraction of two whole numbers whose denominator is a power of two,
# and 1.1 is no such fraction: the computer takes the nearest one, which is a little more. Times 200 this gives a number
# between two floats, and the nearer of them is not 220 but its neighbour. With fractions the sum comes out even:
# %% [zh]
# ## 220.00000000000003？
#
# 这不是程序写错了。浮点数是分母为 2 的幂的分数，而 1.1 不是这样的分数：计算机只好取离它最近的那一个，比 1.1 略大一点。
# 乘以 200 之后，结果落在两个相邻的浮点数之间，离得更近的那个不是 220，而是它的邻居。换成分数来算，就分毫不差：
# %%
import math
from decimal import Decimal
from fractions import Fraction

total_in_fractions = apple * apples * Fraction(11, 10)
next_float = math.nextafter(220, math.inf)

print("1.1 in the computer:     ", Decimal(tax))
print("200 times that:          ", 200 * Decimal(tax))
print("the float after 220:     ", Decimal(next_float))
print("halfway between the two: ", (220 + Decimal(next_float)) / 2)
print("in fractions:            ", total_in_fractions)

# %% [en]
# So never ask whether two results are equal with `==`; ask whether they are close. Everything below agrees to a
# relative 1e-12, which is far more than money needs and far less than a float can hold.
#
# ## Forward and backward, as layers
#
# Cut the sum into its smallest steps and make each of them an object that can do two things:
#
# - `forward(x, y)` gives the result, and remembers what it was given;
# - `backward(dout)` is told how much the *end* changes with this result, and answers how much the end changes with each
#   of the two inputs.
#
# For a product $z = x\,y$ the chain rule says
#
# $$∂L/∂x = ∂L/∂z · y,    ∂L/∂y = ∂L/∂z · x$$
#
# The two inputs have changed places: that is why the layer must remember them. At the end of the chain stands
# $∂L/∂L = 1$.
# %% [zh]
# 所以永远不要用 `==` 问两个结果是否相等，而要问它们是否足够接近。下面所有结果彼此的相对误差都在 1e-12 以内：比算钱需要
# 的精确得多，又远没到浮点数的极限。
#
# ## 用层写：前向和反向
#
# 把算式拆成最小的步骤，每一步做成一个会两件事的对象：
#
# - `forward(x, y)` 给出结果，并记住它拿到了什么；
# - `backward(dout)` 被告知*最终结果*随这一步的结果变化多少，回答最终结果随两个输入各变化多少。
#
# 对乘积 $z = x\,y$，链式法则说
#
# $$∂L/∂x = ∂L/∂z · y,    ∂L/∂y = ∂L/∂z · x$$
#
# 两个输入换了位置：这就是层必须记住它们的原因。链条的末端是 $∂L/∂L = 1$。
# %%
from chainrule.by_hand.layers import AddLayer, MulLayer

mul_apple, mul_tax = MulLayer(), MulLayer()

apple_price = mul_apple.forward(apple, apples)        # forward: from the apples to the total
total = mul_tax.forward(apple_price, tax)

dapple_price, dtax = mul_tax.backward(1)              # backward: the same layers, the other way round
dapple, dapples = mul_apple.backward(dapple_price)

apples_by_layers = {"total": total, "apple": dapple, "apples": dapples, "tax": dtax}
print("total:", total)
print(f"gradients: price of an apple {dapple:.10g}, number of apples {dapples:.10g}, tax {dtax:.10g}")

# %% [en]
# Read it aloud. If an apple cost 1 more, the total would be 2.2 more: two apples, each taxed. One apple more would cost
# 110. And the tax? Its gradient 200 belongs to the *factor*: raising it from 1.1 to 2.1 would cost 200 more. A tax of
#      one percent more moves the factor by 0.01, and the total by 2. A gradient means nothing without the unit of what
#      is moved, which is why the three numbers must not be compared with each other.
#
# Is that true? Nudge one number, leave the others, and look:
# %% [zh]
# 念出来就是：苹果每个贵 1 元，总价多 2.2 元，因为有两个苹果，每个都要交税。多买一个苹果，多付 110 元。税呢？它的梯度
# 200 是对*系数*而言的：从 1.1 升到 2.1，要多付 200 元。税率提高一个百分点，系数只动 0.01，总价只动 2 元。脱离了被改变的
# 那个量的单位，梯度就没有意义；所以这三个数不能互相比大小。
#
# 真的是这样吗？只动一个数，别的不动，看一看：
# %%
def shop(apple, apples, tax):
    return apple * apples * tax


print(f"apple + 1:    {shop(apple + 1, apples, tax) - total:+.10g}")
print(f"apples + 1:   {shop(apple, apples + 1, tax) - total:+.10g}")
print(f"tax + 1:      {shop(apple, apples, tax + 1) - total:+.10g}")
print(f"tax + 0.01:   {shop(apple, apples, tax + 0.01) - total:+.10g}")

# %% [en]
# The nudges give the gradients exactly, because the total is a straight line in each of the three numbers alone. Where
# it is curved, the nudge must be small; chapters 2 and 5 live on that.
#
# ## Oranges
#
# Three oranges at 150 come into the same basket. A sum $z = x + y$ hands the gradient on as it is, to both:
#
# $$∂L/∂x = ∂L/∂y = ∂L/∂z$$
#
# An `AddLayer` has nothing to remember. And the way back is the way forward with the steps in reverse order: this is
# the whole algorithm, and no network in these chapters does anything else.
# %% [zh]
# 这里小小一推就精确地得到了梯度，因为总价对每个数单独来说都是一条直线。若是曲线，推动的幅度就必须很小；第 2 章和第 5 章
# 靠的正是这一点。
#
# ## 橘子
#
# 篮子里再放三个橘子，每个 150 元。加法 $z = x + y$ 把梯度原样交给两个输入：
#
# $$∂L/∂x = ∂L/∂y = ∂L/∂z$$
#
# `AddLayer` 什么也不用记。反向的路就是前向的路倒过来走：整个算法就是这样，后面各章的网络都不会多做什么。
# %%
orange, oranges = 150, 3
mul_apple, mul_orange, add_fruit, mul_tax = MulLayer(), MulLayer(), AddLayer(), MulLayer()

apple_price = mul_apple.forward(apple, apples)
orange_price = mul_orange.forward(orange, oranges)
fruit_price = add_fruit.forward(apple_price, orange_price)
total = mul_tax.forward(fruit_price, tax)

dfruit_price, dtax = mul_tax.backward(1)
dapple_price, dorange_price = add_fruit.backward(dfruit_price)
dorange, doranges = mul_orange.backward(dorange_price)
dapple, dapples = mul_apple.backward(dapple_price)

by_layers = {"total": total, "apple": dapple, "apples": dapples, "orange": dorange, "oranges": doranges, "tax": dtax}
for name, value in by_layers.items():
    print(f"{name:8}", value)

# %% [en]
# ## As a graph
#
# The same steps, but nobody has to keep the order: each operation makes a node, the graph runs them forward, and
# backward in the reverse order. Every intermediate has its gradient too; the picture shows the values above the arrows
# and what flows back below them.
# %% [zh]
# ## 用计算图写
#
# 步骤一样，但不用自己操心顺序：每个运算产生一个节点，图负责把它们从前往后、再从后往前各走一遍。每个中间结果也有梯度；图
# 里箭头上方是数值，下方是往回流的梯度。
# %%
import chainrule as cr
from chainrule.by_hand.pictures import flow
from chainrule.by_hand.reading import save

graph = cr.Graph()
p, n, q, m, t = graph.inputs("apple", "apples", "orange", "oranges", "tax")
graph.output((p * n + q * m) * t)

total = graph.forward(apple=apple, apples=apples, orange=orange, oranges=oranges, tax=tax)
by_graph = {"total": total, **graph.backward()}
print(graph)
save(flow(graph, "The fruit shop: values, and gradients of the total"), "01-fruit-shop")

total = graph.forward(apple=apple, apples=apples, orange=orange, oranges=0, tax=tax)     # the same, without oranges
apples_by_graph = {"total": total, **graph.backward()}
print("without oranges:", {name: apples_by_graph[name] for name in apples_by_layers})

# %% [en]
# ## As tensors
#
# A tensor is a number (or an array) that remembers which operation it came from. So the formula is simply written down,
# and the graph is there all the same: `backward()` walks it.
# %% [zh]
# ## 用张量写
#
# 张量是记得自己来自哪个运算的数（或数组）。所以只要把公式写下来，图就已经在那里了：`backward()` 沿着它走一遍。
# %%
def with_tensors(**numbers):
    """Return the total and the gradient of each number."""
    tensors = {name: cr.Tensor(float(number), requires_grad=True) for name, number in numbers.items()}
    p, n, q, m, t = tensors.values()
    total = (p * n + q * m) * t
    total.backward()
    return {"total": total.item(), **{name: tensor.grad.item() for name, tensor in tensors.items()}}


by_tensors = with_tensors(apple=apple, apples=apples, orange=orange, oranges=oranges, tax=tax)
apples_by_tensors = with_tensors(apple=apple, apples=apples, orange=orange, oranges=0, tax=tax)

worst = 0
for layers, graphs, tensors in ((apples_by_layers, apples_by_graph, apples_by_tensors),
                                (by_layers, by_graph, by_tensors)):
    print(f"{'':8}{'layers':>20}{'graph':>20}{'tensors':>20}")
    for name in layers:
        print(f"{name:8}{layers[name]:>20}{graphs[name]:>20}{tensors[name]:>20}")
        worst = max([worst, *(abs(other[name] - layers[name]) / layers[name] for other in (graphs, tensors))])
print(f"largest relative difference: {worst:.1e}")

# %% [en]
# One result, and no wonder: the product has one derivative in this library, and the layer, the node and the tensor all
# ask it.
#
# ## Exercises
#
# 1. The shop gives a discount of 20 on the whole basket, before tax. Which of the six numbers change? Answer first, run
#    then.
# 2. Two more gates, for a shop that says what 12 apples cost and takes something off a full basket: `shop_gates.py`
#    has their stubs, with tests (`chainrule by-hand 1 --copy DIR`).
# 3. Call `mul_tax.backward(2)` instead of `backward(1)`. What have you computed, and of what is it the gradient?
# %% [zh]
# 结果只有一个，这并不奇怪：在这个库里，乘法的导数只写了一次，层、节点和张量问的都是它。
#
# ## 练习
#
# 1. 店家在交税之前给整篮水果优惠 20 元。上面六个数里哪些会变？先回答，再运行。
# 2. 再写两个门：这家店只标 12 个苹果的价钱，篮子满了还打折。框架在 `shop_gates.py` 里，配有测试
#    （`chainrule by-hand 1 --copy DIR`）。
# 3. 把 `backward(1)` 换成 `mul_tax.backward(2)`。你算出了什么？它是什么的梯度？
