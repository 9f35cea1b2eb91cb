ANSWERS = {
    "answer-1": (
        "answer = lambda n, k, p, s: (n + 2 * p - k) // s",
        "The first place counts",
        "answer = lambda n, k, p, s: (n + 2 * p - k) / s + 1",
        "Places are whole",
        "answer = lambda n, k, p, s: (n + p - k) // s + 1",
        "zeros on both sides",
        "answer = lambda n, k, p, s: (n - k) // s + 1",
        "Not yet: called with 28, 5, 2, 1, 24 instead of 28",
        "answer = lambda n, k, p, s: (n + 2 * p - k) // s + 1",
    ),
    "answer-2": (
        "answer = 16 * (25 + 1)",
        "through all 8 channels",
        "answer = 16 * 8 * 25",
        "biases are missing",
        "answer = 16 * 8 * 26",
        "One bias for each kernel",
        "answer = 16 * 8 * 25 + 16",
    ),
    "answer-3": (
        "answer = [[0, 0, 0], [0, 0, 1], [0, 0, 0]]",
        "This moves it left",
        "answer = np.eye(3)",
        "Not yet: at [0, 0]: 1 instead of 0",
        "answer = [[0, 0, 0], [1, 0, 0], [0, 0, 0]]",
    ),
}
