"""Makes README's drawings of computation graphs: blackboard.svg and ex4_graph.svg, the graph of exercise 4's cost.

    python examples/pictures/graphs.py

needs Graphviz, and the course's digits for exercise 4's network.
"""

from __future__ import annotations

from pathlib import Path

from walk import blackboard, exercise_4

import tinygrad_edu as tg

if __name__ == "__main__":
    folder = Path(__file__).parent
    print(tg.render_graph(blackboard(), folder / "blackboard.svg"))
    J, net = exercise_4()
    print(tg.render_graph(J, folder / "ex4_graph.svg", model=net))
