"""Answers to the exercises of lesson 9."""

ANSWERS = {
    "loss-by-hand": (
        "answer = -np.log((0.5 + 0.125) / 2)",
        "The loss is the mean of −log p.",
        "answer = -np.log2([0.5, 0.125]).mean()",
        "Those are bits.",
        "answer = 1",
        "1 instead of 1.386",
        "answer = -np.log([0.5, 0.125]).mean()",
    ),
    "embedding-gradient": (
        "def answer(i, g, rows):\n    gradient = np.zeros((rows, 2))\n    gradient[i] += g\n    return gradient",
        "gets both gradients",
        "answer = lambda i, g, rows: g",
        "shape (3, 2) instead of (4, 2)",
        "def answer(i, g, rows):\n    made = np.zeros((rows, 2))\n    np.add.at(made, i, g)\n    return made",
    ),
    "batch-norm-by-hand": (
        "answer = lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)",
        "Take each unit by itself",
        "answer = lambda x: (x - x.mean(axis=0)) / x.var(axis=0)",
        "not by the variance",
        "answer = lambda x: x - x.mean(axis=0)",
        "at [0, 0]: -20 instead of",
        "answer = lambda x: tg.BatchNorm(2)(x)",
    ),
}
