"""Answers to the exercises of lesson 2."""

BACKWARD = """
def backward(result):
    result.grad = 1.0
    waiting = {result}
    while waiting:
        youngest = max(waiting, key=lambda number: number.born)
        waiting.remove(youngest)
        for source, local in youngest.sources:
            source.grad += youngest.grad * local
            waiting.add(source)
"""

ANSWERS = {
    "exercise-1": (
        BACKWARD.replace("+=", "="),
        "Not yet: called with square, 3 instead of 6",
        BACKWARD.replace("max(", "min("),
        "Not yet: called with a_first, ",
        "backward = hasty",
        "Some number passed on before everything had arrived.",
        "backward = every_path",
        "the function raises RecursionError",
        BACKWARD,
    ),
    "exercise-2": (
        "answer = [1, 12]",
        "The sum is right",
        "answer = [1, 2, 2, 4]",
        "Multiply them by what arrives",
        "answer = [1, 4, 4, 4]",
    ),
    "exercise-3": (
        "def answer(a, b):\n    return a / b, 1 / b, a / b**2",
        "A larger b makes the quotient smaller.",
        "def answer(a, b):\n    return a / b, 1 / b",
        "Not yet: called with 6.0, 2.0, shape (2,) instead of (3,)",
        "def answer(a, b):\n    return a / b, 1 / b, -a / b**2",
    ),
}
