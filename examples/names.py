"""A character language model, in the manner of the makemore lectures: new names, letter by letter.

    python examples/names.py                     # on the names of `tg.datasets.names()`
    python examples/names.py --data names.txt    # on one's own: a name, or a short line, in each line

First a perceptron sees the last four letters, by embeddings and with batch norm; then a small transformer sees all
letters so far. Both say how probable each letter is as the next one; "." ends a name.
(Bengio et al., "A neural probabilistic language model", 2003; Karpathy, "Neural networks: zero to hero", 2022.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import _cli
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import functional as F

SEEN = 4  # letters, by the perceptron


class Transformer(tg.Module):
    """(m, t) letters to the logits (m, t, letters) of those that follow; each sees itself and those before it."""

    def __init__(self, letters: int, longest: int, dim: int, rng: np.random.Generator) -> None:
        self.letter, self.place = tg.Embedding(letters, dim, rng=rng), tg.Embedding(longest, dim, rng=rng)
        self.attention = [tg.MultiHeadAttention(dim, 4, rng=rng) for _ in range(2)]
        self.norms = [tg.LayerNorm(dim) for _ in range(5)]
        self.thought = [tg.Sequential(tg.Dense(dim, 4 * dim, rng=rng), tg.GELU(), tg.Dense(4 * dim, dim, rng=rng))
                        for _ in range(2)]  # fmt: skip
        self.head = tg.Dense(dim, letters, rng=rng)

    def forward(self, X: Any) -> Any:
        x = self.letter(X) + self.place(np.arange(X.shape[1]))
        for k in range(2):
            x = x + self.attention[k](self.norms[2 * k](x), causal=True)
            x = x + self.thought[k](self.norms[2 * k + 1](x))
        return self.head(self.norms[4](x))


def perceptron(letters: int, rng: np.random.Generator) -> tg.Sequential:
    """(m, SEEN) letters to the logits (m, letters) of the next one."""
    hidden = tg.Dense(8 * SEEN, 100, bias=False, rng=rng), tg.BatchNorm(100), tg.Tanh()
    return tg.Sequential(tg.Embedding(letters, 8, rng=rng), tg.Flatten(), *hidden, tg.Dense(100, letters, rng=rng))


def rows_of(names: list[list[int]], longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Each name as a row of letters, beginning with ".", and the letters that follow; −1 where nothing does."""
    X, y = np.zeros((len(names), longest), int), np.full((len(names), longest), -1)
    for row, name in enumerate(names):
        X[row, 1 : len(name) + 1] = name
        y[row, : len(name) + 1] = [*name, 0]
    return X, y


def windows_of(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each letter that follows, the SEEN letters before it."""
    before = np.pad(X, ((0, 0), (SEEN - 1, 0)))
    return np.lib.stride_tricks.sliding_window_view(before, SEEN, axis=1)[y >= 0], y[y >= 0]


def sampled(scores: Any, longest: int, rng: np.random.Generator) -> list[int]:
    """A new name: letters drawn as probable as `scores` of those before says, until "." is drawn."""
    name = [0]
    while len(name) < longest and (len(name) == 1 or name[-1]):
        p = F.softmax(scores(name), axis=-1)
        name.append(int(rng.choice(len(p), p=p)))
    return [letter for letter in name if letter]


def main() -> None:
    parser = _cli.parser("Learns to make up names.", seed=0, seeded="of all that is drawn", out="names_output")
    parser.add_argument("--data", type=Path, metavar="FILE", help="a text with a name in each line")
    parser.add_argument("--epochs", type=_cli.COUNT, default=60, help="how often all names are seen")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)
        lines = args.data.read_text(encoding="utf-8").split("\n") if args.data else tg.datasets.names()
        names = [line.strip() for line in lines if line.strip()]
        letters = [".", *sorted(set("".join(names)) - {"."})]
        X, y = rows_of([[letters.index(c) for c in name if c != "."] for name in names], max(map(len, names)) + 1)
        order = rng.permutation(len(X))
        learn, hold = order[len(X) // 10 :], order[: len(X) // 10]
        mlp, attentive = perceptron(len(letters), rng), Transformer(len(letters), X.shape[1], 32, rng)
        models = {
            "perceptron": (mlp, windows_of, lambda seen: tg.predict(mlp, np.array([([0] * SEEN + seen)[-SEEN:]]))[0]),
            "transformer": (attentive, lambda *rows: rows, lambda seen: tg.predict(attentive, np.array([seen]))[0, -1]),
        }
        histories = {}
        for what, (net, shaped, scores) in models.items():
            histories[what] = tg.fit(
                net, *shaped(X[learn], y[learn]), loss=lambda z, y: F.cross_entropy(z, y, ignore_index=-1),
                optimizer=tg.AdamW(net.parameters(), lr=0.003, weight_decay=0.1),
                schedule=tg.optim.cosine(0.003, args.epochs), epochs=args.epochs, batch_size=32,
                validation=shaped(X[hold], y[hold]), compiled=True, rng=args.seed,
            )  # fmt: skip
            best = min(histories[what]["val_loss"])
            made = ["".join(letters[k] for k in sampled(scores, X.shape[1], rng)) for _ in range(40)]
            new = [name for name in made if name not in names]
            print(f"{what}: {best:.3f} nats a letter of {len(hold)} held-out names; new: {', '.join(new[:20])}")
    _cli.save_pictures({f"{what}.png": h.plot() for what, h in histories.items()}, args.out)


if __name__ == "__main__":
    _cli.run(main)
