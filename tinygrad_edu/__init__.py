"""A pure-Python autograd micro-framework on NumPy. Conventionally `import tinygrad_edu as tg`."""

from . import rules as rules
from .engine import primitive, rule
from .tensor import Tensor, no_grad

__version__ = "0.1.0"
__all__ = ["Tensor", "no_grad", "primitive", "rule"]
