"""What an effect is made of: basis functions, modes, penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.ticker import MaxNLocator

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.effects import SplineEffect
from numpyro_splines.plotting.draws import rug
from numpyro_splines.plotting.style import (
    GRAY,
    PALETTE,
    canvas,
    legend,
    legend_beside,
    name_axes,
    strokes,
    width_with_legend,
)
from numpyro_splines.prior_checks import gaussian_smooth
from numpyro_splines.validation import float64_array, integer_at_least, order_at_least


def basis(
    basis: AbstractBasis,
    coefficients: Any = None,
    *,
    derivative: int = 0,
    num_points: int = 401,
    axes: Axes | None = None,
) -> Axes:
    """The functions of a basis over its domain, with its breakpoints as a rug.

    Args:
        basis: the basis.
        coefficients: shape (K,): each function times its coefficient, and their sum as a thick
            line; plain functions if omitted.
        derivative: order of the derivative of all of them.
        num_points: of the even grid over the domain.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `basis` or `axes` are something else.
        ValueError: if there are not as many coefficients as functions, or the order is negative.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> cubic = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10))
        >>> len(basis(cubic, axes=axes).lines), cubic.num_coefficients
        (12, 12)
    """
    _check_basis(basis)
    order = order_at_least(derivative, 0, "derivative")
    grid = _grid(basis, num_points)
    functions = basis.collocation(grid, order)
    total = None
    if coefficients is not None:
        weights = float64_array(coefficients, "coefficients", ndim=1)
        if weights.shape != functions.shape[-1:]:
            raise ValueError(
                f"`coefficients` must be {functions.shape[-1]}, one for each basis function; got "
                f"{weights.size}."
            )
        functions = functions * weights
        total = functions.sum(axis=-1)
    axes = canvas(axes)
    for index, function in enumerate(functions.T):
        axes.plot(grid, function, color=PALETTE[index % len(PALETTE)], linewidth=1.2)
    if total is not None:
        axes.plot(grid, total, color="black", linewidth=2.2, label="sum")
        legend(axes)
    rug(np.unique(np.clip(basis.panels[0], grid[0], grid[-1])), axes)
    name_axes(axes, "x", "basis functions" + "'" * order)
    return axes


def modes(
    effect: SplineEffect,
    num: int = 6,
    *,
    scaled: bool = False,
    num_points: int = 401,
    axes: Axes | None = None,
) -> Axes:
    r"""Karhunen-Loeve modes of a smoothness prior, from smooth to wiggly.

    The coordinates in which the effect is sampled: f(x) = sum_j beta_j phi_j(x) + tau sum_m sd_m
    z_m psi_m(x). The unpenalized phi_j are dotted; the legend gives sd_m, the share of the scale
    tau that mode m has.

    Args:
        effect: with a smoothness prior.
        num: how many modes psi_m, or all if there are fewer.
        scaled: draw sd_m psi_m in place of psi_m: what each contributes before data at tau = 1.
        num_points: of the even grid over the domain.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if the effect has no smoothness prior, or `axes` are none.
        ValueError: if a number is too small.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)))
        >>> axes = modes(f, 2, axes=matplotlib.figure.Figure().add_subplot())
        >>> [text.get_text() for text in axes.get_legend().texts]
        ['unpenalized', 'mode 1, sd 0.922', 'mode 2, sd 0.332']
    """
    smooth = gaussian_smooth(effect)
    num = integer_at_least(num, 1, "num")
    deviations = np.asarray(smooth.spectrum.standard_deviations)[:num]
    grid = _grid(effect.basis, num_points)
    functions = effect.basis.collocation(grid)
    labels = [f"mode {index + 1}, sd {sd:.3g}" for index, sd in enumerate(deviations)]
    axes = canvas(axes, width=width_with_legend(["unpenalized", *labels], beside=True))
    for index, column in enumerate(np.asarray(smooth.linear).T):
        label = "" if index else "unpenalized"
        axes.plot(grid, functions @ column, ":", color=GRAY, linewidth=1.4, label=label)
    columns = np.asarray(smooth.spectrum.modes)[:, : deviations.size]
    for index, (color, dash) in enumerate(strokes(deviations.size)):
        values = functions @ columns[:, index] * (deviations[index] if scaled else 1.0)
        axes.plot(grid, values, dash, color=color, linewidth=1.4, label=labels[index])
    name_axes(axes, "x", "sd × mode" if scaled else "mode")
    legend_beside(axes)
    return axes


def penalty(basis: AbstractBasis, order: int = 2, *, axes: Axes | None = None) -> Axes:
    """The penalty matrix of a basis, the integrals of products of derivatives, as an image.

    Colors are linear up to a hundredth of the largest entry and logarithmic from there.

    Args:
        basis: the basis.
        order: of the derivatives.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes; the color bar is a further one of its figure.

    Raises:
        TypeError: if `basis` or `axes` are something else.
        ValueError: if the order is negative or above what the basis has.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> cubic = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10))
        >>> penalty(cubic, axes=axes).images[0].get_array().shape
        (12, 12)
    """
    _check_basis(basis)
    matrix = basis.penalty(order)
    largest = float(np.abs(matrix).max())
    # Near the ends of clamped knots entries are a hundred times larger than inside.
    norm = SymLogNorm(0.01 * largest, vmin=-largest, vmax=largest)
    axes = canvas(axes, width=4.6)
    image = axes.imshow(matrix, cmap="PuOr", norm=norm)
    ticks = largest * np.array([-1.0, -0.1, 0.0, 0.1, 1.0])
    axes.figure.colorbar(image, ax=axes, ticks=ticks, format="%.3g")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    name_axes(axes, "coefficient", "coefficient")
    axes.set_title(f"penalty of order {order}")
    return axes


def _grid(basis: AbstractBasis, num_points: int) -> np.ndarray:
    lower, upper = basis.domain
    return np.linspace(float(lower), float(upper), integer_at_least(num_points, 2, "num_points"))


def _check_basis(value: Any) -> None:
    if not isinstance(value, AbstractBasis):
        raise TypeError(
            f"`basis` must be a basis such as numpyro_splines.BSplineBasis(...); got "
            f"{type(value).__name__}."
        )
