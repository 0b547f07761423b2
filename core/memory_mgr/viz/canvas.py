"""The paper that all plots are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memory_mgr.display.palette import GREY
from memory_mgr.errors import InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DAY_SECONDS = 86_400.0


def canvas(ax: Axes | None, *, title: str, height: float = 3.2, frame: bool = True) -> Axes:
    """`ax`, or the axes of a new transparent figure 8 inches wide, in a grey that reads on white and on black.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "viz", "drawing") from error
    if ax is None:
        figure, ax = plt.subplots(figsize=(8, height), layout="constrained")
        figure.patch.set_alpha(0)
    ax.patch.set_alpha(0)
    ax.set_title(title, loc="left", color=GREY)
    ax.tick_params(colors=GREY)
    ax.xaxis.label.set_color(GREY)
    ax.yaxis.label.set_color(GREY)
    for side, spine in ax.spines.items():
        spine.set_color(GREY)
        spine.set_visible(frame and side in {"left", "bottom"})
    return ax


def legend(ax: Axes, **options: Any) -> None:
    """A legend outside of the data, without a frame."""
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, labelcolor=GREY, **options)


def needed(values: Sequence[Any], what: str) -> None:
    """Refuse to draw nothing.

    Raises:
        InvalidInputError: There are no values.
    """
    if not values:
        raise InvalidInputError(f"there are no {what} to draw; add some memories first")
