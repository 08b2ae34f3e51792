"""Every gate: one primitive operation each, with its forward, its derivatives and its formula in one place."""
# ruff: noqa: F403
from . import comparison, elementwise, indexing, linalg, loss, random, reduction, shaping
from .comparison import *
from .elementwise import *
from .indexing import *
from .linalg import *
from .loss import *
from .random import *
from .reduction import *
from .shaping import *

# Said outright, or `from .gates import *` would bring the submodules along, over `chainrule.random` and its like.
__all__: list[str] = []
__all__ += comparison.__all__
__all__ += elementwise.__all__
__all__ += indexing.__all__
__all__ += linalg.__all__
__all__ += loss.__all__
__all__ += random.__all__
__all__ += reduction.__all__
__all__ += shaping.__all__
