ANSWERS = {
    "answer-1": ("answer = 1000 // 32 * 5", "smaller batch", "answer = 32", "one epoch", "answer = 160"),
    "answer-2": ("answer = 1 + 0.9", "after two steps", "answer = 9", "9 instead of 10", "answer = 9.9997"),
    "answer-3": (
        "answer = lambda losses, patience: np.argmin(losses) + 1",
        "The training has ended before",
        """
def answer(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best
""",
        "Epochs count from 1",
        """
def answer(losses, patience):
    for epoch in range(patience, len(losses)):
        if min(losses[epoch - patience + 1 : epoch + 1]) >= min(losses[: epoch - patience + 1]):
            return epoch + 1
    return len(losses)
""",
        "after which the training ends",
        """
def answer(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return best + 1
    return len(losses)
""",
        "called with [3, 2, 4], 2, 3 instead of 2",
        """
def answer(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best + 1
""",
    ),
}
