"""A page on which one draws a digit and watches a network read it: what it needs to know, and nothing more.

The page computes by itself: it holds the program of the network for one image, forward and, behind it, the gradient of
a chosen output with respect to the image, in the lines that the rules wrote.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiler.derivation import Derivation
from ..compiler.derive import _named
from ..compiler.exported import Unknown, exported
from ..compiler.helpers import function_of
from ..compiler.lines import Line
from ..compiler.notation import PYTHON
from ..compiler.source import _writer
from ..datasets import bicubic
from ..functional.layers import _linear
from ..nn.evaluation import predict
from ..nn.module import Module, evaluated
from ..pages.arrays import encoded, number, pixels
from ..pages.document import document
from ..rules.shape import _reshape
from ..storage.atomic import replacing
from .kept import KIND

FIELD = 28  # pixels of MNIST's images on a side
UNITS = 100  # of the first layer that are shown
SETTINGS = re.compile(r", \w+=\((?:[^()]|\([^()]*\))*\)")  # such as strides, which a reader of the page knows
PRIVATE = re.compile(r"\b_(?=[a-z])")  # how the names of functions begin that only rules call
NOISE = 8  # images of noise that show whether outputs always are between 0 and 1


class Images(NamedTuple):
    """How a network takes an image."""

    shape: tuple[int, ...]  # of one, without the axis of the samples
    side: int
    order: str  # in which its pixels are unrolled: "C" row by row, "F" column by column
    dtype: np.dtype[Any]


def drawing_page(
    net: Module,
    path: str | os.PathLike[str],
    input_shape: int | tuple[int, ...] | None = None,
    *,
    classes: Sequence[object] | None = None,
    order: str = "C",
    title: str = "Draw a digit",
) -> Path:
    """Writes the file `path` (`.html`), a page with a `title` on which one draws with mouse, finger, pen or keys while
    `net` reads: its outputs, the units of its first layer (if that is dense) with what each of them sees, and why,
    which is the gradient of the winning output with respect to the image, laid over the drawing, and the chain rule
    that leads to it. The page opens in any browser and loads nothing. Drawings that were read wrongly can be kept and
    saved as a file for `load_drawings`.

    `input_shape` is the shape of one image as the network takes it, grey and square: `(400,)`, `(20, 20)` or
    `(1, 28, 28)`; without it, that of a network that starts with `Dense`. `order="F"` is for images that are unrolled
    column by column, as ex4's. `classes` names the outputs, 0, 1, 2, … if it is left out.

    A drawing is brought to the form of MNIST's images (LeCun, Cortes and Burges, "The MNIST database of handwritten
    digits"): fitted into 20×20 pixels with its proportions kept and with greys at its edges, then moved so that its
    centre of mass is the pixel (14, 14) of 28×28, ink is 1 and paper 0, strokes are 2.5 pixels wide, which is MNIST's
    median (nine of ten images have 1.6 to 3.6). For images of other sizes it is then resized as ex4's are,
    bicubically, from where their values run a little over: from −0.13 to 1.13.

    The network computes as in evaluation mode, and is left as it is. Raises `TypeError` if it is not a module or
    does what the page cannot compute, `ValueError` for images or outputs of other shapes, for wrong `classes` or
    `order` and for another ending of the path, `FileNotFoundError` if there is no such folder.

    >>> net = tg.Sequential(tg.Dense(400, 25), tg.Sigmoid(), tg.Dense(25, 10), tg.Sigmoid())
    >>> tg.drawing_page(net, "draw.html", order="F").name
    'draw.html'
    """
    if not isinstance(net, Module):
        raise TypeError(f"drawing_page: pass a network (a Module), not {type(net).__name__}")
    path = Path(path)
    if path.suffix.lower() != ".html":
        raise ValueError(f"drawing_page: {path.name!r} must end in .html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"drawing_page: there is no folder {os.fspath(path.parent)!r} for {path.name!r}")
    images = _images(net, input_shape, order)
    rng = np.random.default_rng(0)
    outputs = predict(net, rng.normal(0, 10, (NOISE, *images.shape)).astype(images.dtype))
    names = _names(classes, outputs)
    page = document(
        "draw.html",
        title,
        {
            "title": title,
            "kind": KIND,
            "parameters": net.num_parameters,
            "classes": names,
            "side": images.side,
            "order": images.order,
            "resize": None if images.side == FIELD else bicubic(FIELD, images.side).tolist(),
            "shares": bool(np.all((outputs >= 0) & (outputs <= 1))),
            **_program(net, images, len(names)),
        },
        styles=["page.css", "draw.css"],
        scripts=[
            *("page.js", "evaluate.js", "images.js", "primitives.js"),
            *("strokes.js", "pad.js", "reading.js", "reasons.js", "draw.js"),
        ],
    )
    with replacing(path) as file:
        file.write(page)
    return path


def _images(net: Module, input_shape: Any, order: str) -> Images:
    weights = [p._value for p in net.parameters()]
    if not weights:
        raise ValueError("drawing_page: the network has no parameters, so it has learned nothing that could be shown")
    if input_shape is None:
        first = next((m.in_features for m in net.modules() if hasattr(m, "in_features")), None)
        if first is None or weights[0].shape[:1] != (first,):
            raise ValueError(
                "drawing_page: the network does not start with Dense, so say what shape an image has for it: "
                'drawing_page(net, "draw.html", (1, 28, 28))'
            )
        input_shape = first
    shape = tuple(input_shape) if isinstance(input_shape, tuple | list) else (input_shape,)
    if not shape or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
        raise ValueError(f"drawing_page: input_shape={input_shape!r} is not a shape such as (400,) or (1, 28, 28)")
    sides = [n for n in shape if n != 1]
    side = math.isqrt(sides[0]) if len(sides) == 1 else sides[0] if sides else 0
    if sides not in ([side, side], [side * side]) or side < 2:
        raise ValueError(
            f"drawing_page: images are grey and square, as (400,), (20, 20) or (1, 28, 28), and these have the shape "
            f"{shape}"
        )
    if order not in ("C", "F"):
        raise ValueError(f"drawing_page: order is 'C' (images unrolled row by row) or 'F', not {order!r}")
    if order == "F" and len(sides) == 2:
        raise ValueError(f"drawing_page: order='F' is for images that are unrolled, and these have the shape {shape}")
    return Images(tuple(map(int, shape)), side, order, weights[0].dtype)


def _names(classes: Sequence[object] | None, outputs: Any) -> list[str]:
    """The names of the outputs, which the network gave for some images."""
    if not isinstance(outputs, np.ndarray) or outputs.ndim != 2 or outputs.shape[1] < 2:
        got = f"of shape {(1, *outputs.shape[1:])}" if isinstance(outputs, np.ndarray) else type(outputs).__name__
        raise ValueError(
            f"drawing_page: a classifier gives a row with a number for each class, (1, classes), and for one image "
            f"this network gives an output {got}"
        )
    count = outputs.shape[1]
    if classes is None:
        return [str(k) for k in range(count)]
    names = [str(name) for name in classes]
    if len(names) != count or len(set(names)) != count or isinstance(classes, str):
        raise ValueError(
            f"drawing_page: classes={classes!r}; pass {count} different names, one for each output of the network"
        )
    return names


def _program(net: Module, images: Images, count: int) -> dict[str, Any]:
    """The network as a program of one image and of the outputs to be explained (a row with a 1), with what the page
    shows of it: outputs, hidden units, gradient, and the lines of the chain rule."""
    examples = [np.zeros((1, *images.shape), images.dtype), np.zeros((1, count), images.dtype)]
    made = evaluated(Derivation, lambda image, chosen: np.sum(net(image) * chosen), examples, [], [0])
    image, chosen = made.inputs
    (outputs,) = (a for line in made.forward if chosen in {*line.operands()} for a in line.args if a is not chosen)
    (gradient,) = made.gradients
    layer = _first_layer(made, image)
    hidden = outputs if layer is None else _activated(made, layer, outputs)
    steps = list(_steps(net, made))
    lines = [*made.forward, *made.backward]
    wanted = [outputs, gradient, hidden, made.value, *(line for line, _ in steps)]
    fixed = {line: tensor._value for tensor, line in made.captured.items()}
    try:
        program = exported(lines, made.inputs, wanted, fixed)
    except Unknown as error:
        raise TypeError(f"drawing_page: {error}, which this network does") from None
    numbers = program["outputs"]
    weight = fixed[layer.args[1]] if layer is not None else None
    return {
        "program": program,
        "forward": len(made.forward),
        "outputs": numbers[0],
        "gradient": numbers[1],
        "hidden": None if layer is None else numbers[2],
        "units": None if weight is None else _units(weight, images),
        "hidden_units": 0 if weight is None else weight.shape[1],
        "steps": [
            {"text": text, "value": value, "shape": line.shape}
            for (line, text), value in zip(steps, numbers[4:], strict=True)
        ],
        "backward": sum(line in set(made.forward) for line, _ in steps),
    }


def _first_layer(made: Derivation, image: Line) -> Line | None:
    """The dense layer that reads the image itself, unrolled or not."""
    read = {image}
    for line in made.forward:
        if function_of(line.function) is function_of(_reshape) and line.args[0] in read:
            read.add(line)
        elif function_of(line.function) is function_of(_linear) and line.args[0] in read:
            return line if line.args[1] in made.captured.values() else None
    return None


def _activated(made: Derivation, line: Line, outputs: Line) -> Line:
    """What becomes of a layer's results before anything else reads them: σ(z) of z."""
    while line is not outputs:
        users = [user for user in made.forward if line in user.operands()]
        if len(users) != 1 or users[0].shape != line.shape or len(set(users[0].operands())) != 1:
            break
        (line,) = users
    return line


def _units(weight: NDArray[Any], images: Images) -> list[dict[str, Any]]:
    """What each unit sees: its weights as an image."""
    shown = []
    for unit in weight.T[:UNITS].astype(np.float64):
        limit = float(np.abs(unit[np.isfinite(unit)]).max(initial=0))
        image = pixels(unit.reshape(images.side, images.side, order="F" if images.order == "F" else "C"), limit)
        rows, columns = image.shape
        shown.append({"rows": rows, "columns": columns, "limit": number(limit), "pixels": encoded(image)})
    return shown


def _steps(net: Module, made: Derivation) -> Iterator[tuple[Line, str]]:
    """The lines of the derivation that a person would write, forward and backward, with their text."""
    names = {tensor: name for name, tensor in _named(net).items()}
    given = dict(zip(made.inputs, ("image", "chosen"), strict=True)) | {made.value: "score"}
    for k, (tensor, line) in enumerate(made.captured.items(), 1):
        given[line] = names.get(tensor, f"constant_{k}")
    for line, name, text in _writer(made, given, PYTHON).statements([*made.forward, *made.backward]):
        yield line, f"{name} = {PRIVATE.sub('', SETTINGS.sub('', text))}"
