ANSWERS = {
    "answer-1": ("answer = 4", "The second is added", "answer = 2 * 3 * 1", "2w, and w is 2", "answer = 12.0"),
    "answer-2": ("answer = 10", "That would be with ½", "answer = 4", "1/256", "answer = 5"),
    "answer-3": (
        "answer = lambda x: np.where(x > 0, x * np.log(x), 0.0)",
        "the derivative is still NaN",
        "answer = lambda x: x * np.log(x + 1e-9)",
        "Not yet: called with 0.0, -20.7",
        "answer = lambda x: np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)",
    ),
}
