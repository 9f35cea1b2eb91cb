"""SciPy for tensors: what SciPy's functions cannot do by themselves, in its own places and under its own names.

Read in this order: `rules.py` (the derivatives of the ufuncs of `scipy.special`, which are entered as soon as somebody
imports that and hands it a tensor), `special.py` (its other functions), `stats` (the normal distribution), `calls.py`
(how SciPy calls a person's function, and the Jacobian of that), `optimize.py` (SciPy's minimisers, with our
derivatives), `roots.py` and `integrate.py` (roots and integrals that are differentiated themselves). Whatever else one
asks these modules for is SciPy's own. Nothing of this is imported with the package.

May import `functional`, and what stands below it.
"""

from collections.abc import Callable
from typing import Any

try:
    import scipy as _scipy  # noqa: F401
except ImportError:
    raise ImportError("tinygrad_edu.scipy needs SciPy: python -m pip install scipy") from None


def rest_of(module: Any, who: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module named `who` that has all that one of SciPy's has, besides its own."""

    def find(name: str) -> Any:
        if name.startswith("__"):  # what a module is asked for, such as its __path__
            raise AttributeError(f"module {who!r} has no attribute {name!r}")
        return getattr(module, name)

    return find, lambda: dir(module)
