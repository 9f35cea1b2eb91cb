"""Drawings and pages of the computation graph, the backward pass in words, and a page on which one draws a digit.

Read in this order: `structure.py` (the record as numbered operations and module calls), `folding.py` (what is shown as
one), `values.py` (the numbers, also those that no record kept), `formulas.py` and `told.py` (the rules in writing, in
their own names and in the picture's), `computation.py` (all of it as data). Then what is made of that data:
`labels.py` (the text in a drawing), `arrangement.py` (how it fits a page), `dot.py` and `render.py` (drawings by
Graphviz), `explain.py` (a table), `steps.py` and `page.py` (the page that walks the chain rule, with what each step
adds), `live.py` (the program that this page runs when a number is edited in it). Apart from these, `drawing.py` (a
network as a program that a page runs on what is drawn there) and `kept.py` (drawings that were kept on it).

May import everything below: `pages`, `autograd`, `rules`, `functional`, `nn`, `datasets`, `compiler` and `storage`; not
`training`.
"""

from .explain import explain
from .render import draw_graph, render_graph

__all__ = ["draw_graph", "explain", "render_graph"]
