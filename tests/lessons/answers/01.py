"""Answers to the exercises of lesson 1."""

ANSWERS = {
    "exercise-1": (
        "answer = 2 * 1.0",
        "The base also gets a tip",
        "answer = base.grad",
        "That is for one euro more",
        "answer = 2 * base.grad",
    ),
    "exercise-2": (
        "x = tg.Tensor(0.5, requires_grad=True)\ny = np.exp(-x * x)\nanswer = x.grad",
        "x.grad is None until",
        "x = tg.Tensor(0.5, requires_grad=True)\ny = np.exp(-x * x)\ny.backward()\nanswer = y",
        "That is y itself",
        "x = tg.Tensor(0.5, requires_grad=True)\ny = np.exp(-x * x)\ny.backward()\nanswer = x.grad",
    ),
    "exercise-3": (
        "def answer(x):\n    e = np.exp(-x)\n    n = 1 + e\n    return -1 / n**2 * e",
        "The sign is wrong",
        "def answer(x):\n    e = np.exp(-x)\n    n = 1 + e\n    return 1 / n**2",
        "The step from x to e is missing",
        "def answer(x):\n    e = np.exp(-x)\n    n = 1 + e\n    return (-1 / n**2) * 1 * (-e)",
    ),
}
