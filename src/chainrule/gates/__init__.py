"""Every gate: one primitive operation each, with its forward, its derivatives and its formula in one place."""
from .comparison import *
from .elementwise import *
from .indexing import *
from .linalg import *
from .random import *
from .reduction import *
from .shaping import *
