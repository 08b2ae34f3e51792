"""Find the wrong layers of suspects.py with chainrule.check_gradients, and mend them.

用 chainrule.check_gradients 找出 suspects.py 里错误的层，并改正它们。
"""
from suspects import CASES  # noqa: F401

import chainrule as cr  # noqa: F401    for cr.check_gradients, which raises cr.GradientError


def find_wrong():
    """Return the set of the names in CASES whose layer is wrong.

    A case is (class, parameters, inputs): cr.check_gradients(class(*parameters), *inputs) returns a number where all is
    well. Where it raises cr.GradientError, error.elements say which element of which argument, and error.elements[0]
    .verdict why. You may let the check decide, or run it at the prompt, read, and return a set that you write down.

    返回 CASES 里错误层的名字的集合。一项是（类，参数，输入）；一切正常时 cr.check_gradients(类(*参数), *输入) 返回一个
    数，否则抛出 cr.GradientError，其中 error.elements 说明是哪个参数的哪个元素，每个元素的 verdict 说明原因。可以让程序
    判断，也可以自己看过之后把集合写下来。
    """
    raise NotImplementedError("return the names of the wrong layers, such as {'Mean', 'Tanh'}")


def mend():
    """Return a dict from the name of each wrong layer to a right class.

    A right class takes the same parameters and has the same forward and backward. It may inherit what was right:
    class Mended(suspects.Mean). Layers that are right do not belong in the dict.

    返回一个字典：错误层的名字 → 正确的类。参数、forward 和 backward 与原来相同；可以继承原来正确的部分。本来就对的层
    不要放进来。
    """
    raise NotImplementedError("return {name: class} with a right class for each wrong layer")
