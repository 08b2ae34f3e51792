"""Slopes by differences, forward and centred, and learning with them.

用差分求斜率：前向差分和中心差分，并用它们来学习。
"""
import numpy as np  # noqa: F401


def forward_slope(f, x, h):
    """Return (f(x + h) - f(x)) / h: the error shrinks like h. 前向差分，误差与 h 成正比。

    f is a function of one number, x and h are numbers. f 是单变量函数，x 和 h 是数。
    """
    raise NotImplementedError("return the slope between x and x + h")


def centred_slope(f, x, h):
    """Return (f(x + h) - f(x - h)) / 2h: the error shrinks like h². 中心差分，误差与 h² 成正比。"""
    raise NotImplementedError("return the slope between x - h and x + h")


def update_weights(loss, weights, lr, h=1e-5):
    """Take one step of gradient descent: w - lr · (slope of the loss by w), with centred slopes.

    loss(weights) is a number, weights a list of float arrays of any shapes. Each element of each array is nudged by
    itself, both ways, while all others are as they were; all of them step together in the end. The arrays that were
    given, and the list, stay as they are.

    用中心差分走一步梯度下降。loss(weights) 返回一个数；weights 是浮点数组的列表，形状任意。逐个元素往两边各推一次，
    其余不动；最后一起走一步。传入的列表和数组保持原样。

    Returns
    -------
    weights : list of arrays
        New ones, of the same shapes. 新的数组，形状不变。
    loss : number
        Before the step. 走这一步之前的损失。
    """
    raise NotImplementedError("find all slopes, then return the new weights and the loss before the step")
