"""Answers to the exercises of lesson 11."""

ANSWERS = {
    "standard-error": (
        "answer = 1 / tg.hessian(lambda l: 200 * l - 122 * np.log(l))(0.61)",
        "That is the variance",
        "answer = np.sqrt(tg.hessian(lambda l: 200 * l - 122 * np.log(l))(0.61))",
        "Take the inverse",
        "answer = np.sqrt(0.61)",
        "instead of 0.055",
        "answer = 0.0552",
    ),
    "law-of-a-pendulum": (
        "answer = lambda x, t: tg.grad(x)(t) + 4 * x(t)",
        "That is the speed",
        "answer = lambda x, t: tg.grad(tg.grad(x))(t) - 4 * x(t)",
        "its sign changes",
        "answer = lambda x, t: x(t)",
        "instead of",
        "answer = lambda x, t: tg.elementwise_grad(tg.elementwise_grad(x))(t) + 4 * x(t)",
    ),
    "slope-of-the-rate": (
        "answer = -6 * 6",
        "Both factors are slopes",
        "answer = -6.0",
        "How does the cost change with w?",
        "answer = tg.grad(lambda rate: (3 - rate * 6) ** 2)(0.1)",
    ),
}
