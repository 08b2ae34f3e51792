"""Initial weights of a layer, and what they do to a signal.

Samples are rows: W is (inputs, outputs). rng is a numpy.random.Generator, such as np.random.default_rng(1).

一层的初始权重，以及它们对信号的作用。每行一个样本，W 的形状是 (inputs, outputs)；rng 是 numpy.random.Generator。
"""
import numpy as np  # noqa: F401


def zeros(inputs, outputs, rng):
    """Return zeros. 返回全零的权重。"""
    raise NotImplementedError("return an array of the right shape")


def small(inputs, outputs, rng):
    """Return normal numbers of mean 0 and standard deviation 0.01. 返回均值 0、标准差 0.01 的正态随机数。"""
    raise NotImplementedError("draw from rng, not from np.random")


def xavier(inputs, outputs, rng):
    """Return normal numbers of mean 0 and variance 2 / (inputs + outputs).

    返回均值 0、方差 2 / (inputs + outputs) 的正态随机数。
    """
    raise NotImplementedError("mind that a variance is not a standard deviation")


def he(inputs, outputs, rng):
    """Return normal numbers of mean 0 and variance 2 / inputs. 返回均值 0、方差 2 / inputs 的正态随机数。"""
    raise NotImplementedError("mind that a variance is not a standard deviation")


def sizes(x, initialise, activation, widths, rng):
    """Return the root mean square of the activations after each layer: a list of numbers, one for each width.

    x (N, inputs) is the batch, initialise one of the functions above, activation a function of arrays, widths the
    numbers of units of the layers, such as [512, 512]. A layer is activation(h @ W), without a bias.

    返回每层之后激活值的均方根，每个宽度一个数。x 是一批样本 (N, inputs)，initialise 是上面的函数之一，activation 是作用
    在数组上的函数，widths 是各层的单元数，如 [512, 512]。一层就是 activation(h @ W)，没有偏置。
    """
    raise NotImplementedError("go through the layers, drawing new weights for each")
