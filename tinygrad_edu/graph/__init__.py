"""Pictures and pages of the computation graph, and the backward pass in words."""

from .explain import explain
from .render import draw_graph, render_graph

__all__ = ["draw_graph", "explain", "render_graph"]
