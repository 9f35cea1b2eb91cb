"""Who survived the Titanic? Logistic regression: one sigmoid unit on 14 features of the passengers.

    python examples/titanic.py                     # the passengers are downloaded once by scikit-learn
    python examples/titanic.py --data titanic.csv  # or from a file with the course's 14 columns

On the course's 792 passengers the costs before the updates 0, 1000, …, 7000 are 0.69124, 0.51401, 0.48241, 0.46971,
0.46276, 0.45807, 0.45449 and 0.45155, and 80.8 % of the guesses are right.
"""

from __future__ import annotations

import _cli
import numpy as np
from matplotlib.figure import Figure

import tinygrad_edu as tg
from tinygrad_edu import datasets, plots


def fetch() -> tuple[np.ndarray, np.ndarray]:
    """The 1309 passengers of OpenML's data set, with the course's 14 features made of its columns."""
    try:
        from sklearn.datasets import fetch_openml

        table = fetch_openml("titanic", version=1, as_frame=False, parser="liac-arff")
    except ImportError:
        raise SystemExit("error: this needs scikit-learn: python -m pip install 'tinygrad-edu[examples]'") from None
    except OSError as error:
        raise SystemExit(
            f"error: the passengers could not be downloaded ({error}). Pass a file with the course's columns: "
            "--data titanic.csv"
        ) from None
    return features({name: table.data[:, i] for i, name in enumerate(table.feature_names)}), table.target.astype(int)


def features(columns: dict[str, np.ndarray]) -> np.ndarray:
    """`datasets.TITANIC_FEATURES`: unknown ages and fares become the median, unknown ports Southampton."""

    def numbers(name: str) -> np.ndarray:
        values = columns[name].astype(np.float64)
        return np.where(np.isnan(values), np.nanmedian(values), values)

    def one_of(values: np.ndarray, *choices: object) -> list[np.ndarray]:
        return [(values == choice).astype(np.float64) for choice in choices]

    sex = np.array([str(s) == "male" for s in columns["sex"]], dtype=np.float64)
    titles = np.array([kind_of_title(str(name)) for name in columns["name"]])
    ports = np.array([p if p in ("C", "Q", "S") else "S" for p in map(str, columns["embarked"])])
    return np.column_stack(
        [
            sex,
            numbers("age") / 80,
            numbers("fare") / 512.3292,
            *one_of(numbers("pclass"), 1, 2, 3),
            (numbers("sibsp") + numbers("parch")) / 10,
            *one_of(titles, "Mr or Mrs", "rank", "Master", "Miss"),
            *one_of(ports, "C", "Q", "S"),
        ]
    )


def kind_of_title(name: str) -> str:
    """Of "Braund, Mr. Owen Harris": one of the four kinds that the course tells apart."""
    title = name.partition(", ")[2].partition(".")[0]
    if title in ("Mr", "Mrs", "Mme"):
        return "Mr or Mrs"
    return {"Master": "Master", "Miss": "Miss", "Ms": "Miss", "Mlle": "Miss"}.get(title, "rank")


def main() -> None:
    about = "Learns by logistic regression which passengers of the Titanic survived."
    parser = _cli.parser(about, iterations=8000, alpha=0.01, seed=1, out="titanic_output")
    parser.add_argument("--data", metavar="FILE", help="a CSV file with the course's columns; otherwise downloaded")
    args = parser.parse_args()
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)
        X, labels = datasets.load_titanic(args.data) if args.data else fetch()

    y = labels.reshape(-1, 1)
    print(f"{len(X)} passengers, {labels.mean():.1%} survived")
    random = np.random.RandomState(args.seed)
    net = tg.Sequential(tg.Dense(14, 1, init=lambda shape, rng: random.randn(*shape) * 0.01), tg.Sigmoid())
    with _cli.errors_told():
        history = tg.fit(
            net,
            X,
            y,
            loss=tg.binary_cross_entropy,
            optimizer=tg.SGD(net.parameters(), lr=args.alpha),
            epochs=args.iterations,
            batch_size=None,
        )
    for i in range(0, len(history["loss"]), 1000):
        print(f"cost before update {i:4}: {history['loss'][i]:.12f}")
    guess = tg.predict(net, X)
    usual = len(X) == 792 and _cli.is_usual(parser, args, "data") and history.stopped != "interrupted"
    print(f"\naccuracy {tg.accuracy(guess, y):.1%}" + "   (the course: 80.8 %)" * usual)

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    weights = net[0].weight.numpy()[:, 0]
    order = np.argsort(weights)
    axes.barh(
        np.array(datasets.TITANIC_FEATURES)[order], weights[order], color=np.where(weights[order] < 0, "C1", "C0")
    )
    axes.set(xlabel="weight: for survival to the right, against it to the left")
    figures = {
        "weights.png": figure,
        "cost.png": plots.curves({"cost": history["loss"]}, xlabel="update"),
        "confusion.png": plots.confusion_matrix(labels, (guess > 0.5).astype(int)),
    }
    _cli.save_pictures(figures, args.out)


if __name__ == "__main__":
    _cli.run(main)
