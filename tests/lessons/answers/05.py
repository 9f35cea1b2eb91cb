RIGHT = """
def answer(X, Y, W1, W2, W3):
    a2 = sigmoid(X @ W1)
    a3 = sigmoid(a2 @ W2)
    delta4 = sigmoid(a3 @ W3) - Y
    delta3 = delta4 @ W3.T * a3 * (1 - a3)
    return X.T @ (delta3 @ W2.T * a2 * (1 - a2)) / len(X)
"""
ANSWERS = {
    "answer-1": (
        "answer = lambda h, y: h - y",
        "One link of the chain is missing",
        "answer = lambda h, y: (h - y) / (h * (1 - h))",
        "as a factor",
        "answer = lambda h, y: (h - y) * h * (1 - h)",
    ),
    "answer-2": ("answer = 1", "m has doubled", "answer = 0.5", "The other way round", "answer = 2"),
    "answer-3": (
        RIGHT.replace("/ len(X)", ""),
        "Divide by the number of images",
        RIGHT.replace("* a3 * (1 - a3)", ""),
        "Not yet: called with",
        RIGHT.replace("W3.T", "W3"),
        "the function raises ValueError",
        RIGHT,
    ),
}
