# about 20 s, 12 s with --quick
# %% [en]
# # 9. What makes deep networks trainable
#
# Chapter 8 ended with a network that did not learn until its weights were drawn differently. Here the network is ten
# layers deep, and every choice around it becomes an experiment: how the weights begin, what the gradient goes through
# on its way back, batch normalisation, the optimizer, the learning rate, the size of a batch.
#
# The data are the 1,797 handwritten digits of 8×8 pixels inside the package. One seed proves nothing: change `SEED`
# and run the chapter again, the lessons stay.
# %% [zh]
# # 9. 怎样让深层网络学得动
#
# 第 8 章里的网络，换一种方式抽取初始权重之后才学得动。这一章的网络有十层，围绕它的每一个选择都是一次实验：
# 权重从哪里出发，梯度在回程中经过什么，批归一化，优化器，学习率，批的大小。
#
# 数据是包里自带的 1,797 张 8×8 像素的手写数字。一个随机种子说明不了什么：改掉 `SEED` 再跑一遍，结论不变。
# %%
import numpy as np

import chainrule as cr
from chainrule import data, nn, optim
from chainrule.by_hand import l_layer, layers
from chainrule.by_hand.pictures import lines, panels
from chainrule.by_hand.reading import quick, save

SEED = 1
DEPTH, WIDTH = 10, 64
STEPS = 100 if quick() else 300

train, test = data.digits()
images, labels = train[:]
mean, spread = images.mean(0), images.std()
images = (images - mean) / spread                    # each pixel has mean 0, and a typical one the size 1
test_images, test_labels = test[:]
test_images = (test_images - mean) / spread          # by the statistics of the training images, not their own
print(f"{len(images)} images to train on, {len(test_images)} to test with")

# %% [en]
# ## Where to begin
#
# A unit adds up $n$ products: $z = \sum_i w_i h_i$. If the weights are independent with mean 0 and standard deviation
# $\sigma$, then $\mathrm{E}[z^2] = n\,\sigma^2\,\mathrm{E}[h^2]$. So each layer multiplies the size of the signal by
# $\sqrt n\,\sigma$, times what the activation does, and ten layers do it ten times.
#
# - **zeros**: nothing goes through, and all units of a layer stay equal for ever;
# - **0.01**: for $n = 64$ the factor is at most 0.08;
# - **Xavier**, $\sigma^2 = 2 / (n_{in} + n_{out})$: the factor is 1 where the activation is nearly the identity, as
#   tanh is around 0; the average of in and out serves the way forward and the way back;
# - **He**, $\sigma^2 = 2 / n_{in}$: ReLU drops half of the squares, and the 2 makes up for it.
# %% [zh]
# ## 从哪里出发
#
# 一个单元把 $n$ 个乘积加起来：$z = \sum_i w_i h_i$。若各权重独立、均值为 0、标准差为 $\sigma$，
# 则 $\mathrm{E}[z^2] = n\,\sigma^2\,\mathrm{E}[h^2]$。所以每一层都把信号的大小乘以 $\sqrt n\,\sigma$（再乘激活函数的影
# 响），十层就乘十次。
#
# - **全零**：什么也传不过去，而且同一层的单元永远一模一样；
# - **0.01**：$n = 64$ 时，这个因子至多是 0.08；
# - **Xavier**，$\sigma^2 = 2 / (n_{in} + n_{out})$：激活函数接近恒等时（例如 0 附近的 tanh）因子为 1；
#   取输入和输出的平均，是为了兼顾前向和反向；
# - **He**，$\sigma^2 = 2 / n_{in}$：ReLU 丢掉了一半的平方和，这个 2 把它补回来。
# %%
INITIALISATIONS = {
    "zeros": lambda inputs, outputs: 0.0,
    "0.01": lambda inputs, outputs: 0.01,
    "Xavier": lambda inputs, outputs: np.sqrt(2 / (inputs + outputs)),
    "He": lambda inputs, outputs: np.sqrt(2 / inputs),
}


def activations_of(activation, std, seed=SEED):
    """Send the images through ten layers; return what comes out of each."""
    rng = np.random.default_rng(seed)
    h, found = images, []
    for _ in range(DEPTH):
        weights = rng.normal(size=(h.shape[1], WIDTH)) * std(h.shape[1], WIDTH)
        h = activation(h @ weights)
        found.append(h)
    return found


def relu(z):
    return np.maximum(0, z)


sizes = {}
for activation in (np.tanh, relu):
    print(f"\nroot mean square of the activations, {activation.__name__}, layers 1 to {DEPTH}")
    for name, std in INITIALISATIONS.items():
        found = activations_of(activation, std)
        sizes[activation.__name__, name] = [float(np.sqrt(np.mean(h ** 2))) for h in found]
        print(f"{name:7}", *(f"{size:8.1e}" for size in sizes[activation.__name__, name]))

figure, axes = panels(3, 4, size=(2.8, 1.9))
for row, name in enumerate(INITIALISATIONS):
    found = activations_of(np.tanh, INITIALISATIONS[name])
    for column, layer in enumerate((1, 5, 10)):
        panel = axes[3 * row + column]
        panel.hist(found[layer - 1].ravel(), bins=40, range=(-1, 1))
        panel.set_title(f"{name}, layer {layer}", fontsize=8, loc="left")
        panel.set_yticks([])
figure.suptitle("tanh: the activations of ten layers")
save(figure, "09-activations")

# %% [en]
# With tanh, Xavier keeps most of the signal for ten layers and 0.01 loses it. With ReLU, Xavier loses a factor of
# about $\sqrt 2$ in each layer and He keeps the size. Now let these networks learn: ten layers of ReLU, 300 steps.
#
# `Block` is one layer of all the networks in this chapter: linear, perhaps batch normalisation, the activation,
# perhaps a shortcut from its input to its output.
# %% [zh]
# 用 tanh 时，Xavier 让信号经过十层仍保留大半，0.01 则把它丢光。用 ReLU 时，Xavier 每层大约损失一个 $\sqrt 2$ 的因子，
# He 则保持大小。现在让这些网络学习：十层 ReLU，300 步。
#
# `Block` 是本章所有网络的一层：线性、（可选的）批归一化、激活函数、（可选的）从输入到输出的捷径。
# %%
class Block(nn.Layer):
    """activation(norm(linear(x))), and with a shortcut x + that."""

    def __init__(self, activation, std, normalised=False, shortcut=False):
        self.linear = nn.Linear(WIDTH, WIDTH)
        nn.init.normal_(self.linear.weight, 0.0, std(WIDTH, WIDTH))
        nn.init.zeros_(self.linear.bias)
        self.norm = nn.BatchNorm1d(WIDTH) if normalised else nn.Identity()
        self.activation, self.shortcut = activation(), shortcut

    def forward(self, x):
        h = self.activation(self.norm(self.linear(x)))
        return x + h if self.shortcut else h


def deep(activation, std=INITIALISATIONS["Xavier"], depth=DEPTH, seed=SEED, **options):
    """Make a network of blocks with a linear layer for ten digits at its end."""
    cr.random.seed(seed)
    last = nn.Linear(WIDTH, 10)
    nn.init.normal_(last.weight, 0.0, std(WIDTH, 10))
    nn.init.zeros_(last.bias)
    return nn.Sequential(*(Block(activation, std, **options) for _ in range(depth)), last)


def fit(model, optimizer, steps=STEPS, batch=64, clip=None, seed=SEED):
    """Train on random batches; return the losses, which end where they are no numbers any more."""
    rng = np.random.default_rng(seed)
    criterion, losses = nn.CrossEntropyLoss(), []
    with np.errstate(all="ignore"):                  # some of these runs shall explode
        for _ in range(steps):
            chosen = rng.integers(0, len(images), batch)
            loss = criterion(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                clip(model.parameters())
            optimizer.step()
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                break
    return losses


def accuracy(model):
    """Return the share of the test images that the model gets right."""
    model.eval()
    scores = model.forward(test_images)
    model.train()
    return float((scores.argmax(1) == test_labels).mean())


def ending(losses):
    """Return the mean of the last 20 losses; infinity where the run exploded."""
    return float(np.mean(losses[-20:])) if np.isfinite(losses[-1]) else float("inf")


beginnings = {}
print(f"chance: loss {np.log(10):.3f}, accuracy 10 %")
for name, std in INITIALISATIONS.items():
    model = deep(nn.ReLU, std)
    beginnings[name] = fit(model, optim.SGD(model.parameters(), lr=0.05))
    print(f"{name:7} loss {ending(beginnings[name]):.3f}, accuracy {accuracy(model):6.1%}")
save(lines(beginnings, "ten layers of ReLU", x="step", y="loss"), "09-initialisation")

# %% [en]
# Zeros are worse than small. The last bias is all that such a network can learn, since every other gradient is a
# product with a 0 in it. And weights that are equal but not 0 do learn, but each layer is then one unit, copied: the
# units get the same gradient, so they stay the same. Random numbers are there to make them different.
# %% [zh]
# 全零比“太小”还要糟。这样的网络只能学到最后一层的偏置，因为其他每个梯度的乘积里都有一个 0。如果权重都相等但不是 0，
# 网络倒是会学，可是每一层等于一个单元复制了许多份：它们得到同样的梯度，于是永远相同。用随机数，
# 就是为了让它们彼此不同。
# %%
still = deep(nn.ReLU, INITIALISATIONS["zeros"])
nn.CrossEntropyLoss()(still(images), labels).backward()
moving = [name for name, p in still.named_parameters() if np.any(p.grad.numpy() != 0)]
print("of a network of zeros, these parameters have a gradient:", moving)

same = deep(nn.Tanh, depth=1)
for p in same.parameters():
    nn.init.constant_(p, 0.1)
with cr.no_grad():
    same[1].weight += np.linspace(-0.2, 0, 10)[:, None]           # ten digits, each alike to all hidden units
fit(same, optim.SGD(same.parameters(), lr=0.05), steps=100)
units = same[0].linear.weight.numpy()                # a row for each hidden unit
moved, apart = np.abs(units - 0.1).max(), np.abs(units - units[0]).max()
print(f"100 steps from equal weights: the hidden units moved by up to {moved:.3f}, and differ by up to {apart:.0e}")

# %% [en]
# ## On the way back
#
# The gradient goes back through the same layers: $\delta_{l-1} = W_l^T (\delta_l \odot f'(z_l))$. Each layer
# multiplies it by the weights and by the slope of the activation. Sigmoid's slope is at most ¼ (and that only at 0),
# so with Xavier's weights ten layers divide the gradient by a million; tanh's slope is 1 at 0; ReLU's is 1 for the
# half of the units that are on.
#
# The layers work by hand, too: forward in order, backward in reverse, and between them we look at `dout`.
# %% [zh]
# ## 回程
#
# 梯度沿着同样的层往回走：$\delta_{l-1} = W_l^T (\delta_l \odot f'(z_l))$。每一层都给它乘上权重和激活函数的斜率。
# sigmoid 的斜率至多是 ¼（而且只在 0 处），所以用 Xavier 的权重，十层会把梯度除以一百万；tanh 在 0 处斜率为 1；
# ReLU 对开着的那一半单元斜率为 1。
#
# 这些层也能手工一步步走：按顺序 forward，倒着 backward，我们在中间看 `dout`。
# %%
def gradients_of(model, count=256):
    """Return, for each hidden layer, the norm of the gradient of its output and of its weights."""
    criterion = nn.CrossEntropyLoss()
    h = images[:count]
    for layer in model:
        h = layer.forward(h)
    criterion.forward(h, labels[:count])
    dout = criterion.backward()
    of_outputs, of_weights = [], []
    for layer in reversed(list(model)):
        of_outputs.append(float(np.linalg.norm(dout)))
        dout = layer.backward(dout)
        if isinstance(layer, Block):
            of_weights.append(float(np.linalg.norm(layer.linear.weight.grad.numpy())))
    return of_outputs[:0:-1], of_weights[::-1]       # from the first layer to the last hidden one


def compare(candidates, title):
    """Print and draw the gradient norms of several networks; return those of the outputs."""
    print(f"\n{title}: norm of the gradient of each hidden layer's output, layers 1 to {DEPTH}")
    outputs, weights = {}, {}
    for name, model in candidates.items():
        outputs[name], weights[name] = gradients_of(model)
        print(f"{name:28}", *(f"{size:8.1e}" for size in outputs[name]))
    figure, (left, right) = panels(2)
    layer_numbers = range(1, DEPTH + 1)
    for panel, found, what in ((left, outputs, "of the outputs"), (right, weights, "of the weights")):
        lines({name: (layer_numbers, sizes) for name, sizes in found.items()}, f"gradient norm {what}", x="layer",
              log="y", axes=panel)
    return outputs, weights, figure


xavier, he = INITIALISATIONS["Xavier"], INITIALISATIONS["He"]
flow, weight_flow, figure = compare({
    "sigmoid": deep(nn.Sigmoid, xavier),
    "tanh": deep(nn.Tanh, xavier),
    "ReLU, Xavier": deep(nn.ReLU, xavier),
    "ReLU, He": deep(nn.ReLU, he),
}, "three activations")
save(figure, "09-gradients")

# %% [en]
# **What such a picture may hide.** Often only the gradients of the *weights* are drawn, the right panel. For ReLU with
# weights that are too small that curve is flat, and seems healthy: $\partial L/\partial W_l$ is the gradient that
# comes back (which fades towards the first layer) times the signal that goes forward (which fades towards the last),
# and the product fades in all layers alike. It is exact: for ReLU without biases, multiplying any one $W_l$ by a
# positive number does the same to the scores, so $\langle W_l, \partial L/\partial W_l \rangle$ is one number for all
# layers. Look at the size, not at the slope alone.
# %% [zh]
# **这种图可能掩盖什么。** 人们常常只画*权重*的梯度，也就是右图。对权重太小的 ReLU 网络，那条曲线是平的，看起来很健康：
# $\partial L/\partial W_l$ 等于回传的梯度（越往前层越弱）乘以前传的信号（越往后层越弱），乘积在所有层里一起变弱。
# 这是严格成立的：没有偏置的 ReLU 网络里，把任何一个 $W_l$ 乘以一个正数，对得分的影响都一样，所以
# $\langle W_l, \partial L/\partial W_l \rangle$ 在所有层里是同一个数。要看大小，不能只看斜率。
# %%
small = deep(nn.ReLU, lambda inputs, outputs: 0.05).double()      # its biases are 0
gradients_of(small)
products = [float(np.sum(block.linear.weight.numpy() * block.linear.weight.grad.numpy())) for block in small[:DEPTH]]
print("⟨W, ∂L/∂W⟩ of each layer:", *(f"{product:.6e}" for product in products))

# %% [en]
# ### Remedies for gradients that vanish
#
# - **ReLU** in the place of sigmoid, with He's weights: the slope is 1, not ¼.
# - **Batch normalisation** before the activation: whatever the scale, it is 1 again in each layer (more below).
# - **Residual connections**, $h_l = h_{l-1} + f(h_{l-1})$: an adder hands the gradient on as it is (chapter 3: *add
#   distributes*), so there is a road back without any factor.
# %% [zh]
# ### 梯度消失的药方
#
# - 用 **ReLU** 代替 sigmoid，配 He 的权重：斜率是 1，而不是 ¼。
# - 在激活函数之前做**批归一化**：不论尺度如何，每一层都重新变为 1（详见下文）。
# - **残差连接**，$h_l = h_{l-1} + f(h_{l-1})$：加法门把梯度原样传下去（第 3 章：*加法分发*），
#   于是有了一条没有任何因子的回程路。
# %%
vanishing = {
    "sigmoid": lambda seed=SEED: deep(nn.Sigmoid, xavier, seed=seed),
    "ReLU and He": lambda seed=SEED: deep(nn.ReLU, he, seed=seed),
    "sigmoid, batch normalisation": lambda seed=SEED: deep(nn.Sigmoid, xavier, seed=seed, normalised=True),
    "sigmoid, residual": lambda seed=SEED: deep(nn.Sigmoid, xavier, seed=seed, shortcut=True),
}
mended, _, figure = compare({name: make() for name, make in vanishing.items()}, "vanishing gradients, and remedies")
save(figure, "09-vanishing")

remedies = {}
print("\nand what the networks learn with them:")
for name, make in vanishing.items():
    model = make()
    remedies[name] = fit(model, optim.SGD(model.parameters(), lr=0.05))
    print(f"{name:28} loss {ending(remedies[name]):.3f}, accuracy {accuracy(model):6.1%}")
save(lines(remedies, "ten layers", x="step", y="loss"), "09-vanishing-loss")

# %% [en]
# ### Gradients that explode
#
# With weights twice as large as He's, each layer doubles the signal on the way forward and the gradient on the way
# back. The remedies:
#
# - **clipping by value** cuts each element to ±c, and so changes the direction;
# - **clipping by norm** multiplies all of them by one number, $c / \max(c, \lVert g \rVert)$, and keeps the direction;
# - **initialisation**: He's weights, and there is nothing to clip;
# - **a lower rate**: the steps become small enough.
#
# Watch which of them treats the illness, and which the symptom.
# %% [zh]
# ### 梯度爆炸
#
# 权重是 He 的两倍时，每一层都把前向的信号和反向的梯度加倍。药方有：
#
# - **按值裁剪**：每个元素截到 ±c 之间，因此方向会变；
# - **按范数裁剪**：所有元素乘以同一个数 $c / \max(c, \lVert g \rVert)$，方向不变；
# - **初始化**：用 He 的权重，就没有什么可裁剪的；
# - **降低学习率**：步子变得足够小。
#
# 看看哪些治本，哪些只治标。
# %%
def too_large(inputs, outputs):
    """Twice He's standard deviation."""
    return 2 * he(inputs, outputs)


def by_value(parameters):
    """Cut each element of the gradients to ±0.01."""
    optim.clip_grad_value_(parameters, 0.01)


def by_norm(parameters):
    """Shorten the gradient, as one long vector, to 1."""
    optim.clip_grad_norm_(parameters, 1.0)


exploding_flow, exploding_weights, figure = compare({"twice He": deep(nn.ReLU, too_large), "He": deep(nn.ReLU, he)},
                                                    "exploding gradients")
save(figure, "09-exploding")


def long_vector(model):
    """Return all gradients in one vector."""
    return np.concatenate([p.grad.numpy().ravel() for p in model.parameters()]).astype(np.float64)


print("\nwhat clipping does to the gradient:")
clipped, by_layer = {}, {}
for clip in (None, by_value, by_norm):
    model = deep(nn.ReLU, too_large)
    nn.CrossEntropyLoss()(model(images[:256]), labels[:256]).backward()
    before = long_vector(model)
    if clip is not None:
        clip(list(model.parameters()))
    after = long_vector(model)
    name = clip.__name__ if clip is not None else "as it is"
    clipped[name] = (np.linalg.norm(after), before @ after / np.linalg.norm(before) / np.linalg.norm(after))
    by_layer[name] = [float(np.linalg.norm(block.linear.weight.grad.numpy())) for block in model[:DEPTH]]
    print(f"{name:9} norm {clipped[name][0]:9.3g}, cosine with the true direction {clipped[name][1]:.4f}")
by_layer["He's weights"] = exploding_weights["He"]
save(lines({name: (range(1, DEPTH + 1), found) for name, found in by_layer.items()}, "gradient norm of the weights",
           x="layer", log="y"), "09-clipping")

exploding = {
    "twice He": {},
    "clipped by value": {"clip": by_value},
    "clipped by norm": {"clip": by_norm},
    "lower rate": {"lr": 1e-6},
    "He's weights": {"std": he},
}


def explode(seed=SEED, lr=0.05, std=too_large, clip=None):
    """Train ten layers of ReLU; return the losses and the accuracy on the test images."""
    model = deep(nn.ReLU, std, seed=seed)
    losses = fit(model, optim.SGD(model.parameters(), lr=lr), clip=clip, seed=seed)
    return losses, accuracy(model) if np.isfinite(losses[-1]) else float("nan")


runs = {name: explode(**options) for name, options in exploding.items()}
print()
for name, (losses, right) in runs.items():
    if np.isfinite(losses[-1]):
        print(f"{name:17} loss {losses[0]:7.1f} → {ending(losses):8.3f}, accuracy {right:6.1%}")
    else:
        print(f"{name:17} loss {losses[0]:7.1f} → {losses[-1]} at step {len(losses)}")
figure, (panel,) = panels()
lines({name: [loss for loss in losses if np.isfinite(loss)] for name, (losses, _) in runs.items()},
      "weights twice as large as He's", x="step", y="loss", log="y", axes=panel)
panel.set_ylim(1e-3, 1e5)
save(figure, "09-exploding-loss")

# %% [en]
# Clipping and the lower rate keep the run alive, no more: they cannot make good a network whose first loss is
# hundreds. He's weights do. (Clipping has its place where single batches explode, in recurrent networks above all.)
#
# ## Batch normalisation, by hand
#
# Each feature is brought to mean 0 and variance 1 over the $N$ samples of the batch, then scaled and shifted by what
# the network learns:
#
# $\hat x = (x - \mu) / \sqrt{\sigma^2 + \epsilon}$, $y = \gamma \hat x + \beta$.
#
# For the way back, $\beta$ and $\gamma$ are easy: $d\beta = \sum dy$ and $d\gamma = \sum dy\,\hat x$. But $x_i$ acts
# on every sample of its column, because $\mu$ and $\sigma$ depend on it. With $s = \sqrt{\sigma^2 + \epsilon}$,
# $\partial \mu/\partial x_i = 1/N$ and $\partial s/\partial x_i = \hat x_i / N$, so
# $\partial \hat x_j/\partial x_i = (\delta_{ij} - 1/N - \hat x_i \hat x_j / N) / s$. Summed over all j:
#
# $dx = \frac{\gamma}{N s} \left(N\,dy - \sum dy - \hat x \sum dy\,\hat x\right)$
#
# Longer presentations carry a term $d\sigma^2 \cdot \frac{-2}{N}\sum (x - \mu)$ in $d\mu$. It is always 0, because
# deviations from the mean add up to 0.
# %% [zh]
# 裁剪和更低的学习率只是让训练不至于死掉：一个初始损失就有好几百的网络，它们救不回来。He 的权重可以。
# （裁剪真正的用武之地，是偶尔某一批会爆炸的场合，首先是循环网络。）
#
# ## 手写批归一化
#
# 每个特征在一批 $N$ 个样本上变成均值 0、方差 1，再用学到的参数缩放和平移：
#
# $\hat x = (x - \mu) / \sqrt{\sigma^2 + \epsilon}$，  $y = \gamma \hat x + \beta$。
#
# 反向时 $\beta$ 和 $\gamma$ 很容易：$d\beta = \sum dy$，$d\gamma = \sum dy\,\hat x$。但是 $x_i$ 会影响同一列的每个样
# 本，因为 $\mu$ 和 $\sigma$ 都依赖它。记 $s = \sqrt{\sigma^2 + \epsilon}$，则 $\partial \mu/\partial x_i = 1/N$，
# $\partial s/\partial x_i = \hat x_i / N$，于是
# $\partial \hat x_j/\partial x_i = (\delta_{ij} - 1/N - \hat x_i \hat x_j / N) / s$。对所有 j 求和：
#
# $dx = \frac{\gamma}{N s} \left(N\,dy - \sum dy - \hat x \sum dy\,\hat x\right)$
#
# 更长的写法会在 $d\mu$ 里带上一项 $d\sigma^2 \cdot \frac{-2}{N}\sum (x - \mu)$。它永远是 0，因为与均值的偏差加起来为
# 0。
# %%
def batch_norm(x, gamma, beta, eps=1e-5):
    """Normalise the columns of x; return the result, and what the way back needs."""
    scale = np.sqrt(x.var(axis=0) + eps)
    normal = (x - x.mean(axis=0)) / scale
    return gamma * normal + beta, (normal, scale, gamma)


def batch_norm_back(dout, cache):
    """Return the gradients of x, gamma and beta."""
    normal, scale, gamma = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * normal).sum(axis=0)
    dx = gamma / (len(dout) * scale) * (len(dout) * dout - dbeta - normal * dgamma)
    return dx, dgamma, dbeta


rng = np.random.default_rng(SEED)
x, dout = rng.normal(3, 2, (32, 5)), rng.normal(size=(32, 5))
gamma, beta = rng.normal(1, 0.1, 5), rng.normal(size=5)

y, cache = batch_norm(x, gamma, beta)
by_formula = batch_norm_back(dout, cache)
print("the sum of the deviations from the mean:", f"{np.abs((x - x.mean(axis=0)).sum(axis=0)).max():.0e}")

layer = layers.BatchNormalization(gamma, beta)       # the gates' derivatives, samples in rows
layer.forward(x)
by_layer_class = layer.backward(dout), layer.dgamma, layer.dbeta

_, columns = l_layer.batch_norm_forward(x.T, gamma[:, None], beta[:, None])       # the same, samples in columns
by_columns = [np.asarray(d).T.reshape(want.shape)
              for d, want in zip(l_layer.batch_norm_backward(dout.T, columns), by_formula, strict=True)]

tape = cr.vjp(lambda x, gamma, beta: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * gamma + beta,
              x, gamma, beta)[1](dout)

differences = {}
for name, found in (("by_hand.layers", by_layer_class), ("by_hand.l_layer", by_columns), ("the tape", tape)):
    differences[name] = max(float(np.abs(np.asarray(a) - b).max()) for a, b in zip(found, by_formula, strict=True))
    print(f"the formula against {name:15}: largest difference {differences[name]:.0e}")
numeric_ratio = cr.check_gradients(layers.BatchNormalization(gamma, beta), x)
print(f"against numerical differences: {numeric_ratio:.0e}")

# %% [en]
# Two properties can be read off the formula. The gradient of x is orthogonal to a shift and to a stretch of each
# column, since the layer undoes both. So weights in front of it may be a hundred times too large: the result is the
# same, and their gradient a hundred times smaller.
#
# And the usual mistake: to take μ and σ for constants, $dx = \gamma\,dy / s$. The loss may even fall with it. The
# check tells:
# %% [zh]
# 从公式可以读出两个性质。x 的梯度与每一列的平移和伸缩都正交，因为这一层会把两者都抵消掉。所以它前面的权重哪怕大了一百
# 倍，结果也不变，权重的梯度则小一百倍。
#
# 再看常见的错误：把 μ 和 σ 当成常数，$dx = \gamma\,dy / s$。用它训练，损失说不定还会下降。梯度检验会说出来：
# %%
normal, dx = cache[0], by_formula[0]
shift, stretch = np.abs(dx.sum(axis=0)).max(), np.abs((dx * normal).sum(axis=0)).max()
print(f"Σ dx = {shift:.0e}, Σ dx·x̂ = {stretch:.0e} (not quite 0, because of ε), beside dx up to {np.abs(dx).max():.2f}")


class Forgetful:
    """Batch normalisation whose backward takes the mean and the deviation for constants."""

    def forward(self, x):
        self.scale = np.sqrt(x.var(axis=0) + 1e-5)
        return (x - x.mean(axis=0)) / self.scale

    def backward(self, dout):
        return dout / self.scale


try:
    cr.check_gradients(Forgetful(), x)
except cr.GradientError as error:
    forgetful = error
    print(str(error).partition("\n")[0])

# %% [en]
# With it and without it: five layers of ReLU, and weights of five sizes, from far too small to far too large. In the
# figure without it a line that stops is a loss that became infinite.
# %% [zh]
# 有它和没有它：五层 ReLU，五种大小的权重，从太小到太大。没有批归一化的图里，线断掉的地方就是损失变成了无穷大。
# %%
SCALES = (0.01, 0.03, 0.1, 0.3, 1.0)


def normalised_run(scale, normalised, seed=SEED, steps=STEPS // 2):
    """Train five layers of ReLU with weights of one size."""
    model = deep(nn.ReLU, lambda inputs, outputs: scale, depth=5, seed=seed, normalised=normalised)
    losses = fit(model, optim.SGD(model.parameters(), lr=0.1), steps=steps, seed=seed)
    return losses, accuracy(model) if np.isfinite(losses[-1]) else float("nan")


normalised_runs = {}
figure, both = panels(2)
print("standard deviation of the weights     without                  with batch normalisation")
for scale in SCALES:
    for normalised in (False, True):
        normalised_runs[scale, normalised] = normalised_run(scale, normalised)
    cells = [f"loss {ending(losses):6.3f}, accuracy {right:6.1%}" if np.isfinite(losses[-1]) else
             f"{losses[-1]} at step {len(losses):<14}" for losses, right in
             (normalised_runs[scale, False], normalised_runs[scale, True])]
    print(f"{scale:<33} {cells[0]:28} {cells[1]}")
for panel, normalised in zip(both, (False, True), strict=True):
    lines({f"{scale}": [loss for loss in normalised_runs[scale, normalised][0] if np.isfinite(loss)]
           for scale in SCALES}, ("with" if normalised else "without") + " batch normalisation", x="step", y="loss",
          axes=panel)
    panel.set_ylim(0, 3)
save(figure, "09-batch-normalisation")

# %% [en]
# After training, a sample shall not depend on what else is in its batch: `model.eval()` takes running means of μ and
# σ² instead, and `accuracy` above did so. To forget it is the classic mistake of those who use batch normalisation.
#
# ## Five optimizers on one problem
#
# With $g$ for the gradient and η for the learning rate:
#
# - **SGD**: $w \leftarrow w - \eta g$
# - **momentum**: $v \leftarrow \mu v + g$, $w \leftarrow w - \eta v$
# - **AdaGrad**: $s \leftarrow s + g^2$, $w \leftarrow w - \eta g / (\sqrt s + \epsilon)$
# - **RMSprop**: $s \leftarrow \rho s + (1 - \rho) g^2$, $w \leftarrow w - \eta g / (\sqrt s + \epsilon)$
# - **Adam**: $m \leftarrow \beta_1 m + (1 - \beta_1) g$, $s \leftarrow \beta_2 s + (1 - \beta_2) g^2$,
#   $w \leftarrow w - \eta \hat m / (\sqrt{\hat s} + \epsilon)$ with $\hat m = m / (1 - \beta_1^t)$ and
#   $\hat s = s / (1 - \beta_2^t)$
#
# The problem is a long valley, $f = \frac12 (u^2 + 100 v^2)$, from $(u, v) = (-10, 1)$. SGD must take $\eta < 2/100$
# or it is thrown from wall to wall, and then crawls along the floor. Each optimizer gets the best of the same rates,
# in two valleys: one whose floor lies along a coordinate axis, $(u, v) = (x, y)$, and the same one turned by 45°.
# %% [zh]
# 训练之后，一个样本的结果不应取决于同批的其他样本：`model.eval()` 改用 μ 和 σ² 的滑动平均，上面的 `accuracy` 就是这样
# 做的。忘记这一步，是使用批归一化时的经典错误。
#
# ## 五种优化器，同一个问题
#
# 记 $g$ 为梯度，η 为学习率：
#
# - **SGD**：$w \leftarrow w - \eta g$
# - **动量**：$v \leftarrow \mu v + g$，$w \leftarrow w - \eta v$
# - **AdaGrad**：$s \leftarrow s + g^2$，$w \leftarrow w - \eta g / (\sqrt s + \epsilon)$
# - **RMSprop**：$s \leftarrow \rho s + (1 - \rho) g^2$，$w \leftarrow w - \eta g / (\sqrt s + \epsilon)$
# - **Adam**：$m \leftarrow \beta_1 m + (1 - \beta_1) g$，$s \leftarrow \beta_2 s + (1 - \beta_2) g^2$，
#   $w \leftarrow w - \eta \hat m / (\sqrt{\hat s} + \epsilon)$，其中 $\hat m = m / (1 - \beta_1^t)$，
#   $\hat s = s / (1 - \beta_2^t)$
#
# 问题是一条狭长的山谷，$f = \frac12 (u^2 + 100 v^2)$，从 $(u, v) = (-10, 1)$ 出发。SGD 必须取 $\eta < 2/100$，
# 否则会在两壁之间越弹越远；于是它沿谷底只能爬行。每种优化器都从同样的一组学习率里取最好的，而且走两条山谷：
# 一条谷底沿着坐标轴，$(u, v) = (x, y)$；另一条是同样的山谷转了 45°。
# %%
OPTIMIZERS = {
    "SGD": lambda parameters, lr: optim.SGD(parameters, lr=lr),
    "momentum": lambda parameters, lr: optim.SGD(parameters, lr=lr, momentum=0.9),
    "AdaGrad": lambda parameters, lr: optim.Adagrad(parameters, lr=lr),
    "RMSprop": lambda parameters, lr: optim.RMSprop(parameters, lr=lr),
    "Adam": lambda parameters, lr: optim.Adam(parameters, lr=lr),
}
RATES = 10.0 ** np.arange(-3, 1.01, 0.5 if quick() else 0.25)
start, curvature = np.array([-10.0, 1.0]), np.array([1.0, 100.0])       # in the valley's own axes, u and v
straight, turned = np.eye(2), np.sqrt(0.5) * np.array([[1.0, -1.0], [1.0, 1.0]])


def walk(optimizer, lr, turn, steps=100):
    """Go down a valley turned by a matrix; return the path (of w) and the heights."""
    w = nn.Parameter(turn @ start)
    rule = optimizer([w], lr)
    path, heights = [w.numpy().copy()], [0.5 * (curvature * start ** 2).sum()]
    with np.errstate(all="ignore"):
        for _ in range(steps):
            rule.zero_grad()
            (0.5 * (curvature * (turn.T @ w) ** 2).sum()).backward()
            rule.step()
            path.append(w.numpy().copy())
            heights.append(0.5 * (curvature * (turn.T @ path[-1]) ** 2).sum())
    return np.array(path), np.array(heights)


def best_walk(optimizer, turn):
    """Return rate, path and heights of the rate that leads lowest."""
    tried = [(lr, *walk(optimizer, lr, turn)) for lr in RATES]
    return min((t for t in tried if np.isfinite(t[2][-1])), key=lambda t: t[2][-1])


print(f"height at the start: {0.5 * (curvature * start ** 2).sum():.0f}; after 100 steps:")
print("optimizer   best rate   along the axes   best rate   turned by 45°")
walks = {}
for name, optimizer in OPTIMIZERS.items():
    walks[name] = best_walk(optimizer, straight), best_walk(optimizer, turned)
    (lr, _, heights), (turned_lr, _, turned_heights) = walks[name]
    print(f"{name:11} {lr:9.4f} {heights[-1]:16.2e} {turned_lr:11.4f} {turned_heights[-1]:15.2e}")
beyond = walk(OPTIMIZERS["SGD"], 0.021, straight)[1]
print(f"SGD with a rate of 0.021, just over 2/100: height {beyond[-1]:.0e}")

figure, (left, middle, right) = panels(3, size=(4.6, 3.8))
across = np.linspace(-9, 4, 200)
u, v = np.tensordot(turned.T, np.array(np.meshgrid(across, across)), axes=1)
left.contour(across, across, 0.5 * (u ** 2 + 100 * v ** 2), levels=2.0 ** np.arange(-2, 10, 2), colors="#cccccc",
             linewidths=0.8)
for name, (_, (_, path, _)) in walks.items():
    left.plot(path[:, 0], path[:, 1], marker=".", markersize=3, linewidth=1, label=name)
left.set(xlim=(-9, 4), ylim=(-9, 4))
left.set_title("paths in the turned valley", loc="left")
for panel, valley, title in ((middle, 0, "height, along the axes"), (right, 1, "height, turned by 45°")):
    lines({name: both[valley][2] for name, both in walks.items()}, title, x="step", log="y", axes=panel)
    panel.set_ylim(1e-12, 1e3)
save(figure, "09-optimizers")

# %% [en]
# Along the axes AdaGrad and RMSprop look like magic: each coordinate is then a problem of its own, with a rate of its
# own. It is the usual picture, and it flatters them. Turn the valley, which changes nothing for SGD and momentum, and
# the magic is gone. Adam keeps its place, for it has momentum as well.
#
# The corrections in Adam are no decoration. At the first step $m = 0.1\,g$ and $\sqrt s = \sqrt{0.001}\,|g|$: without
# them that step is $0.1/\sqrt{0.001} \approx 3.16$ times η; with them exactly η, whatever the gradient.
# %% [zh]
# 沿着坐标轴时，AdaGrad 和 RMSprop 像变魔术一样：每个坐标成了独立的问题，各有各的学习率。常见的插图正是这样画的，
# 这对它们是一种偏袒。把山谷转一下（这对 SGD 和动量毫无影响），魔术就消失了。Adam 的名次不变，因为它同时带有动量。
#
# Adam 里的修正不是装饰。第一步 $m = 0.1\,g$，$\sqrt s = \sqrt{0.001}\,|g|$：不修正，这一步就是 η 的
# $0.1/\sqrt{0.001} \approx 3.16$ 倍；修正之后恰好是 η，不论梯度多大。
# %%
first_steps = []
for gradient in (1e-3, 1.0, 1e3):
    w = nn.Parameter(np.array([0.0]))
    w.grad = cr.Tensor([gradient], dtype=np.float64)
    optim.Adam([w], lr=0.01).step()
    uncorrected = 0.01 * 0.1 * gradient / np.sqrt(0.001 * gradient ** 2)
    first_steps.append((-w.item() / 0.01, uncorrected / 0.01))
    print(f"gradient {gradient:6g}: Adam's first step is {first_steps[-1][0]:.4f} η, "
          f"without the corrections {first_steps[-1][1]:.4f} η")

# %% [en]
# The same five on the digits, with one hidden layer. Momentum 0.9 adds up about ten gradients: with a tenth of the
# rate it does what plain SGD does, and the two curves lie on each other.
# %% [zh]
# 同样五种优化器用在手写数字上，一个隐藏层。动量 0.9 大约把十个梯度加在一起：用十分之一的学习率，
# 它的效果和普通 SGD 相当，两条曲线叠在一起。
# %%
def shallow(seed=SEED):
    """One hidden layer of 64 units."""
    cr.random.seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


on_digits = {}
for name, lr in (("SGD", 0.01), ("SGD", 0.1), ("momentum", 0.01), ("AdaGrad", 0.01), ("RMSprop", 0.001),
                 ("Adam", 0.001)):
    model = shallow()
    losses = on_digits[f"{name} {lr}"] = fit(model, OPTIMIZERS[name](model.parameters(), lr))
    print(f"{name:8} η = {lr:<5}: loss {ending(losses):.3f}, accuracy {accuracy(model):.1%}")
save(lines(on_digits, "one hidden layer, 64 images a step", x="step", y="loss"), "09-optimizers-digits")

# %% [en]
# ## The learning rate and the size of a batch
#
# Too small a rate and the loss has hardly moved when the time is up; too large, and it explodes. Between the two lie
# several powers of ten. Search in powers of ten, then.
# %% [zh]
# ## 学习率与批的大小
#
# 学习率太小，时间到了损失还没怎么动；太大，就爆炸。两者之间隔着好几个数量级。所以要按数量级去找。
# %%
rate_runs = {}
for lr in (0.001, 0.01, 0.1, 1.0, 10.0):
    model = shallow()
    rate_runs[lr] = fit(model, optim.SGD(model.parameters(), lr=lr))
    print(f"η = {lr:<6}: loss {ending(rate_runs[lr]):.4f} after {len(rate_runs[lr])} steps")
figure, (panel,) = panels()
lines({f"η = {lr}": [loss for loss in losses if np.isfinite(loss)] for lr, losses in rate_runs.items()},
      "learning rates", x="step", y="loss", log="y", axes=panel)
panel.set_ylim(1e-3, 1e4)
save(figure, "09-learning-rate")

# %% [en]
# A batch of $B$ samples gives the gradient with an error of the order $1/\sqrt B$: four times the work for half the
# error. We can measure it: the mean distance of a batch's gradient from that of all data.
# %% [zh]
# 用 $B$ 个样本的一批算出的梯度，误差的量级是 $1/\sqrt B$：四倍的计算，误差减半。这可以量出来：
# 一批的梯度与全部数据的梯度之间的平均距离。
# %%
BATCHES = (32, 64, 128, 256, 512, 1024)
DRAWS = 10 if quick() else 40


def noise(batch, draws=DRAWS, seed=SEED):
    """Return the root mean square distance of a batch's gradient from that of all images."""
    model, criterion, rng = shallow(seed), nn.CrossEntropyLoss(), np.random.default_rng(seed)

    def gradient(chosen):
        model.zero_grad()
        criterion(model(images[chosen]), labels[chosen]).backward()
        return long_vector(model)

    everything = gradient(np.arange(len(images)))
    return np.sqrt(np.mean([np.sum((gradient(rng.integers(0, len(images), batch)) - everything) ** 2)
                            for _ in range(draws)]))


noises = {batch: noise(batch) for batch in BATCHES}
for batch in BATCHES:
    print(f"batch {batch:5}: noise {noises[batch]:.4f}, times √batch {noises[batch] * np.sqrt(batch):.3f}")

# %% [en]
# Now ten times through the data with each size. A large batch makes fewer steps; with the same rate it therefore gets
# less far. It is not the batch that is bad: if the rate grows with the batch, twice the step for half as many steps,
# then the runs agree, as long as the step does not become too large for the valley.
# %% [zh]
# 现在每种大小都把数据走十遍。批越大，步数越少；学习率相同，走得自然就近。这不是大批的错：让学习率随批一起变大，
# 步数减半、步长加倍，各次训练就一致了，只要步子没有大到山谷容不下。
# %%
def ten_epochs(batch, lr, seed=SEED, epochs=10):
    """Train for ten epochs; return the loss on all training images, and the number of steps."""
    model, criterion, rng = shallow(seed), nn.CrossEntropyLoss(), np.random.default_rng(seed)
    optimizer, steps = optim.SGD(model.parameters(), lr=lr), 0
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for first in range(0, len(order) - batch + 1, batch):
            chosen = order[first:first + batch]
            loss = criterion(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
    return float(criterion(model(images), labels).item()), steps


batch_runs = {}
print("batch   steps   loss with η = 0.05   loss with η = 0.05 · batch / 32")
for batch in BATCHES:
    same_rate, steps = ten_epochs(batch, 0.05)
    scaled_rate, _ = ten_epochs(batch, 0.05 * batch / 32)
    batch_runs[batch] = same_rate, scaled_rate
    print(f"{batch:5} {steps:7} {same_rate:16.4f} {scaled_rate:24.4f}")
figure, (left, right) = panels(2)
lines({"measured": (BATCHES, list(noises.values())),
       "1/√batch": (BATCHES, [noises[32] * np.sqrt(32 / batch) for batch in BATCHES])},
      "noise of the gradient", x="batch", log="xy", axes=left)
lines({"η = 0.05": (BATCHES, [same for same, _ in batch_runs.values()]),
       "η = 0.05 · batch / 32": (BATCHES, [scaled for _, scaled in batch_runs.values()])},
      "loss after ten epochs", x="batch", log="x", axes=right)
save(figure, "09-batch-size")

# %% [en]
# ## Exercises
#
# With tests to work on (`chainrule by-hand 9 --copy DIR`):
#
# 1. `initialisations.py`: write Xavier's and He's, and show the sizes of the activations.
# 2. `batch_norm_network.py`: add batch normalisation, forward and backward, to a two-layer network, and check it.
# 3. `adam_rmsprop.py`: write Adam and RMSprop, and compare their paths with the library's.
#
# And to try here: which $\sigma$ would sigmoid need so that its gradients neither vanish nor explode? Does it help?
# %% [zh]
# ## 练习
#
# 配有测试（`chainrule by-hand 9 --copy DIR`）：
#
# 1. `initialisations.py`：写出 Xavier 和 He，并展示激活值的大小。
# 2. `batch_norm_network.py`：给两层网络加上批归一化，写出前向和反向，并做梯度检验。
# 3. `adam_rmsprop.py`：写出 Adam 和 RMSprop，与库里的路径比较。
#
# 也可以就在这里试试：sigmoid 需要怎样的 $\sigma$，梯度才既不消失也不爆炸？这样有用吗？
