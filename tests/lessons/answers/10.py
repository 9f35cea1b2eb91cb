"""Answers to the exercises of lesson 10."""

ANSWERS = {
    "attention-by-hand": (
        "answer = lambda q, k, v: tg.softmax(q @ k.T) @ v",
        "not divided by √d",
        "answer = lambda q, k, v: tg.softmax(q @ k.T / 2, axis=0) @ v",
        "use the last axis",
        "answer = lambda q, k, v: tg.softmax(q @ k / 2) @ v",
        "the function raises ValueError",
        "answer = lambda q, k, v: tg.softmax(q @ k.T / np.sqrt(len(k))) @ v",
        "instead of",
        "answer = lambda q, k, v: tg.softmax(q @ k.T / np.sqrt(q.shape[1])) @ v",
    ),
    "causal-mask": (
        "answer = lambda t: np.triu(np.ones((t, t), bool))",
        "sees what comes later",
        "answer = lambda t: np.arange(t)[:, None] > np.arange(t)",
        "look at itself",
        "answer = lambda t: np.arange(t)[:, None] >= np.arange(t)",
    ),
    "gradient-of-the-query": (
        "answer = -tg.grad(lambda q: tg.softmax(keys @ q) @ values)(np.zeros(2))",
        "the other way",
        "answer = tg.grad(lambda q: tg.softmax(keys @ q).sum())(np.zeros(2))",
        "Multiply them by the values",
        "answer = [-6.667, 0]",
    ),
}
