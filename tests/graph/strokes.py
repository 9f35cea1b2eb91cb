"""Digits as a person draws them: strokes of points (x, y) in a square of 100 × 100, y downwards."""

from __future__ import annotations

import math

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Stroke:
    """Part of an ellipse, in few points, since each is an event: angles in degrees from the right, clockwise."""
    steps = round(abs(end - start) / 60)
    angles = [math.radians(start + (end - start) * k / steps) for k in range(steps + 1)]
    return [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]


DIGITS: dict[int, list[Stroke]] = {
    0: [arc(50, 50, 22, 32, -80, 280)],
    1: [[(54, 16), (52, 40), (50, 60), (47, 84)]],
    2: [[*arc(48, 34, 20, 17, -170, 40), (52, 58), (32, 80), (48, 77), (74, 80)]],
    3: [[*arc(46, 33, 18, 15, -160, 80), *arc(46, 65, 21, 17, -80, 160)]],
    4: [[(36, 18), (30, 52), (50, 53), (70, 50)], [(66, 20), (63, 50), (60, 86)]],
    5: [[(68, 18), (40, 20), (36, 46), *arc(48, 62, 20, 18, -110, 150)]],
    6: [[(60, 16), (44, 32), (34, 56), *arc(49, 67, 16, 16, -180, 170)]],
    7: [[(28, 24), (50, 22), (70, 22), (58, 50), (48, 84)]],
    8: [[*arc(50, 33, 15, 16, -60, -270), *arc(50, 66, 18, 18, -90, 270), *arc(50, 33, 15, 16, 90, -60)]],
    9: [[*arc(50, 36, 17, 17, -10, -350), (66, 40), (63, 62), (56, 86)]],
}
