"""SVG: the few primitives that the figures are made of. Every text and attribute is escaped here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape


def element(tag: str, /, *children: str, **attributes: object) -> str:
    """Return `<tag attributes>children</tag>`. `class_` stands for class, `_` for `-`; children are markup."""
    listed = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
                     for name, value in attributes.items())
    return f"<{tag}{listed}>{''.join(children)}</{tag}>"


def text(words: str, x: float, y: float, *, anchor: str = "start", class_: str = "label") -> str:
    """Return escaped words at a place; anchor: start, middle or end."""
    return element("text", escape(words), x=x, y=y, text_anchor=anchor, class_=class_)


def title(words: str) -> str:
    """Return the tooltip of the element that it stands in."""
    return element("title", escape(words))


def picture(name: str, *body: str, words: str, description: str, width: int, height: int) -> str:
    """Return a figure that scales with its box. name: unique on the page; words, description: for screen readers."""
    return element(
        "svg", element("title", escape(words), id=f"{name}-title"),
        element("desc", escape(description), id=f"{name}-desc"), *body,
        viewBox=f"0 0 {width} {height}", role="img", aria_labelledby=f"{name}-title {name}-desc",
        style=f"max-width:{round(1.25 * width)}px", class_="figure")


@dataclass(frozen=True)
class Scale:
    """A straight line from values to places on the page."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of `value`."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, *, about: int = 5, share: bool = False) -> list[float]:
    """Return round numbers that cover low..high, in steps of 1, 2 or 5 times a power of ten.

    A range of zero width, or one that floats can't divide, is widened. share: nothing lies above 1.
    """
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = max(abs(low), 1.0) * 0.05
        low, high = low - margin, high + margin
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    found = [round(place * step, 12) for place in range(first, last + 1)]
    return [mark for mark in found if mark < 1] + [1.0] if share and found[-1] > 1 else found


def line(points: list[tuple[float, float]], *, class_: str) -> str:
    """Return a line through the points."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("polyline", points=places, class_=class_)


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
