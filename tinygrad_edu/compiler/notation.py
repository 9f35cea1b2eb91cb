"""How the functions of a derivation are written, as Python and as formulas."""

from __future__ import annotations

# How functions are written: with which precedence (of Python's operators: higher binds closer, 9 is a call's), and
# the format, in which <6:0> stands for argument 0, in parentheses if it binds less closely than 6.
Form = tuple[int, str]
PYTHON: dict[str, Form] = {
    "add": (5, "<5:0> + <5:1>"),
    "subtract": (5, "<5:0> - <6:1>"),
    "multiply": (6, "<6:0> * <7:1>"),
    "divide": (6, "<6:0> / <7:1>"),
    "power": (8, "<9:0> ** <8:1>"),
    "square": (8, "<9:0> ** 2"),
    "negative": (7, "-<7:0>"),
    "absolute": (9, "abs(<0:0>)"),
    "product": (5, "<6:0> @ <7:1>"),
    "linear": (5, "<6:0> @ <7:1> + <6:2>"),
    "relu": (9, "np.maximum(<0:0>, 0)"),
    "where_positive": (6, "<6:1> * (<4:0> > 0)"),
    "sum_rows": (9, "<9:0>.sum(axis=0)"),
    "greater": (4, "<5:0> > <5:1>"),
    "less": (4, "<5:0> < <5:1>"),
    "equal": (4, "<5:0> == <5:1>"),
    "greater_equal": (4, "<5:0> >= <5:1>"),
    "less_equal": (4, "<5:0> <= <5:1>"),
    "mse_loss": (6, "np.sum((<5:0> - <6:1>) ** 2) / <count>"),
    "binary_cross_entropy": (6, "np.sum(np.logaddexp(0, <0:0>) - <6:2> * <7:0>) / <count>"),
    "cross_entropy": (6, "-np.sum(<6:2> * <7:1>) / <count>"),
    "where": (9, "np.where(<0:0>, <0:1>, <0:2>)"),
    "clip": (9, "np.clip(<0:0>, <0:1>, <0:2>)"),
    "sigmoid": (9, "sigmoid(<0:0>)"),
    "leaky_relu": (9, "np.where(<4:0> > 0, <0:0>, <negative_slope> * <7:0>)"),
    "mask": (6, "(np.random.random(<9:0>.shape) >= <0:1>) / (1 - <6:1>)"),
    "softmax": (9, "softmax(<0:0>)"),
    "log_softmax": (9, "log_softmax(<0:0>)"),
    "rows_of_labels": (9, "one_hot(<0:0>, <classes>)"),
}
LATEX: dict[str, Form] = {
    "add": (5, "<5:0> + <5:1>"),
    "subtract": (5, "<5:0> - <6:1>"),
    "multiply": (6, r"<6:0> \odot <7:1>"),
    "divide": (9, r"\frac{<0:0>}{<0:1>}"),
    "power": (8, "<9:0>^{<0:1>}"),
    "square": (8, "<9:0>^{2}"),
    "negative": (7, "-<7:0>"),
    "absolute": (9, r"\left|<0:0>\right|"),
    "product": (6, r"<6:0> \, <7:1>"),
    "linear": (5, r"<6:0> \, <7:1> + <6:2>"),
    "transpose": (8, r"<9:0>^{\top}"),
    "exp": (8, "e^{<0:0>}"),
    "sqrt": (9, r"\sqrt{<0:0>}"),
    "relu": (9, r"\max(<0:0>, 0)"),
    "sigmoid": (9, r"\sigma(<0:0>)"),
    "where_positive": (6, r"<6:1> \odot [<4:0> > 0]"),
    "sum_rows": (9, r"\textstyle\sum_i <7:0>"),
    "sum": (9, r"\textstyle\sum <7:0>"),
    "mse_loss": (9, r"\frac{1}{<count>} \sum (<5:0> - <6:1>)^2"),
    "binary_cross_entropy": (9, r"\frac{1}{<count>} \sum \left(\log(1 + e^{<0:0>}) - <6:2> \odot <7:0>\right)"),
    "cross_entropy": (9, r"-\frac{1}{<count>} \sum <6:2> \odot <7:1>"),
    "log_softmax": (9, r"\log\operatorname{softmax}(<0:0>)"),
    "rows_of_labels": (9, r"\operatorname{onehot}(<0:0>)"),
}
# What these helpers are in a module that has NumPy only, each stable for all finite arguments
