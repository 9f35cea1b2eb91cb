"""Answers to the exercises of lesson 12."""

ANSWERS = {
    "what-is-kept": (
        "answer = [1, 2, 2, 0]",
        "read nothing but g",
        "answer = [1, 2, 0, 1]",
        "x is not needed",
        "answer = [2, 3, 3, 2]",
        "at [0]: 2 instead of 1",
        "X, W = (tg.Tensor(np.ones(10**6), requires_grad=True) for _ in range(2))\n"
        "kept = lambda y: sum(np.size(v) == 10**6 for v in y.record.saved if v is not None)\n"
        "answer = [kept(np.exp(X)), kept(X * W), kept(X + W), kept(10 * X)]",
    ),
    "a-rule-of-the-result": (
        "answer = lambda g, y: 1 - np.exp(-y)",
        "by the gradient that arrives",
        "answer = lambda g, y: g / (1 + np.exp(-y))",
        "if it were called with x",
        "answer = lambda g, y: g * (np.exp(y) - 1) / np.exp(y)",
    ),
    "a-rule-of-a-product": (
        "answer = lambda g, a: g.T @ a",
        "That is transposed",
        "answer = lambda g, a: g @ a.T",
        "the function raises ValueError",
        "answer = lambda g, a: np.einsum('mn,mk->nk', a, g)",
    ),
}
