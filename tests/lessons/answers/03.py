"""Answers to the exercises of lesson 3."""

SQUARES = "def answer(w, b):\n    g = 2 * (X @ w + b - y) / 5\n    return X.T @ g, g.sum()"
NUMERICAL = """
def answer(f, x):
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        gradient[place] = (f(up) - f(down)) / 2e-5
    return gradient
"""

ANSWERS = {
    "exercise-1": (
        "def answer(g, x):\n    return g * np.ones(x.shape)",
        "That is for a sum; a mean also divides.",
        "def answer(g, x):\n    return g / x.size",
        "shape () instead of (2, 3)",
        "def answer(g, x):\n    return np.full(x.shape, g / x.size)",
    ),
    "exercise-2": (
        SQUARES.replace("2 * ", ""),
        "The 2 of the square is missing.",
        SQUARES.replace(" / 5", ""),
        "called with [1. 1. 1.], 0.5, value 1: at [0]: ",
        SQUARES.replace("g.sum()", "g"),
        "value 2: shape (5,) instead of (), a single number",
        SQUARES,
    ),
    "exercise-3": (
        NUMERICAL.replace("x.copy(), x.copy()", "x, x"),
        "0 instead of 1",
        NUMERICAL.replace("down[place] -= 1e-5", ""),
        "0.5 instead of 1",
        NUMERICAL.replace("down[place] -= 1e-5", "").replace("2e-5", "1e-5"),
        "called with norm, [[0.03 0.04]], at [0, 0]: 0.6000",
        NUMERICAL.replace("x.copy(), x.copy()", "x, x.copy()"),
        "called with norm, [[0.03 0.04]], at [0, 1]: 0.7999",
        NUMERICAL,
    ),
}
