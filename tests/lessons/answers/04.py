"""Answers to the exercises of lesson 4."""

GRADIENT = "def answer(theta):\n    p = 1 / (1 + np.exp(-T @ theta))\n    return T.T @ (p - damage) / 23"
HESSIAN = "def answer(theta):\n    p = 1 / (1 + np.exp(-T @ theta))\n    return T.T @ ((p * (1 - p))[:, None] * T) / 23"

ANSWERS = {
    "exercise-1": (
        "answer = theta[0] / theta[1]",
        "Mind the sign.",
        "answer = (0.5 - theta[0]) / theta[1]",
        "z is to be 0, not 1/2.",
        "answer = -theta[0] / theta[1]",
    ),
    "exercise-2": (
        GRADIENT.replace("p - damage", "damage - p"),
        "The sign: p is too high where nothing happened.",
        GRADIENT.replace(" / 23", ""),
        "The cost is a mean over the flights.",
        GRADIENT,
    ),
    "exercise-3": (
        HESSIAN.replace("(p * (1 - p))[:, None] * T", "T"),
        "How p changes with z is missing.",
        HESSIAN.replace("(p * (1 - p))[:, None]", "p[:, None]"),
        "called with [0. 0.], at [0, 0]: 0.5 instead of 0.25",
        HESSIAN,
    ),
}
