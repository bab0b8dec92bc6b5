"""How the ends of a band come from draws, as option objects."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import equinox as eqx
import numpy as np
import xarray as xr

from numpyro_splines.arguments import names
from numpyro_splines.posterior.labeled import SAMPLE


class AbstractBand(eqx.Module):
    """How the ends of a band come from draws."""

    @abc.abstractmethod
    def interval(
        self, draws: xr.DataArray, probability: float
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """Lower and upper end, without the axes chain and draw.

        Args:
            draws: with the axes chain and draw.
            probability: of the band.

        Returns:
            Two arrays with the remaining axes, in the units of the draws.
        """


class EqualTailed(AbstractBand):
    """Pointwise: as many draws below the band as above it.

    Example:
        >>> draws = xr.DataArray(np.arange(101.0)[None], dims=["chain", "draw"])
        >>> [float(end) for end in EqualTailed().interval(draws, 0.9)]
        [5.0, 95.0]
    """

    def interval(
        self, draws: xr.DataArray, probability: float
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """See `AbstractBand.interval`."""
        tail = (1.0 - probability) / 2.0
        ends = draws.quantile([tail, 1.0 - tail], dim=SAMPLE, skipna=False)
        lower, upper = (ends.isel(quantile=i, drop=True) for i in (0, 1))
        return lower, upper


class HighestDensity(AbstractBand):
    """Pointwise: the shortest interval with this share of the draws, as ArviZ has it.

    Example:
        >>> draws = xr.DataArray(np.arange(101.0)[None] ** 2, dims=["chain", "draw"])
        >>> [float(end) for end in HighestDensity().interval(draws, 0.9)]
        [0.0, 8100.0]
    """

    def interval(
        self, draws: xr.DataArray, probability: float
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """See `AbstractBand.interval`."""
        stacked = draws.transpose(*SAMPLE, ...)
        values = np.sort(stacked.values.reshape(-1, *stacked.shape[2:]), axis=0)
        inside = min(int(np.floor(probability * len(values))), len(values) - 1)
        start = np.argmin(values[inside:] - values[: len(values) - inside], axis=0)[None]
        empty = stacked.isel(chain=0, draw=0, drop=True)
        # NaN is sorted to the end: a point with one has no interval.
        defined = ~np.isnan(values[-1])
        lower, upper = (
            empty.copy(data=np.where(defined, np.take_along_axis(values, at, axis=0)[0], np.nan))
            for at in (start, start + inside)
        )
        return lower, upper


class Simultaneous(AbstractBand):
    r"""Around the whole curve at once: mean ± c sd, with this share of the draws inside everywhere.

    c is the quantile, over draws, of max_x |f(x) - mean(x)| / sd(x): gratia's definition. Where the
    draws do not vary the band has no width; a point that is NaN leaves no band at all.

    Args:
        over: axes along which the band is simultaneous; all but chain and draw if omitted. Name
            "x" to give each of several groups a band of its own.

    Example:
        >>> draws = xr.DataArray(np.random.default_rng(0).normal(size=(4, 500, 3)))
        >>> draws = draws.rename(dict(zip(draws.dims, ["chain", "draw", "x"])))
        >>> 2.3 < float(Simultaneous().critical(draws, 0.95)) < 2.5
        True

    References:
        Ruppert, Wand and Carroll, Semiparametric Regression (2003), section 6.5;
        Marra and Wood, Coverage properties of confidence intervals for GAM components (2012).
    """

    over: tuple[str, ...] | None = eqx.field(static=True)

    def __init__(self, over: str | Sequence[str] | None = None):
        self.over = (
            None if over is None else names((over,) if isinstance(over, str) else over, "over")
        )

    def critical(self, draws: xr.DataArray, probability: float) -> xr.DataArray:
        """The factor c, with the axes that are neither chain, draw nor in `over`.

        Args:
            draws: with the axes chain and draw.
            probability: of the band.

        Returns:
            A number, or an array with those axes, without units.

        Raises:
            ValueError: if the draws lack an axis of `over`.
        """
        axes = [dim for dim in draws.dims if dim not in SAMPLE] if self.over is None else self.over
        if missing := [dim for dim in axes if dim not in draws.dims]:
            raise ValueError(f"`over` must name axes of the draws, {draws.dims}; got {missing}.")
        center, spread = moments(draws)
        departure = abs(draws - center) / spread.where(spread != 0.0, 1.0)
        largest = departure.max(list(axes), skipna=False)
        return largest.quantile(probability, dim=SAMPLE, skipna=False).drop_vars("quantile")

    def interval(
        self, draws: xr.DataArray, probability: float
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """See `AbstractBand.interval`."""
        center, spread = moments(draws)
        reach = self.critical(draws, probability) * spread
        return center - reach, center + reach


def moments(draws: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Mean and standard deviation over draws; NaN where any is."""
    return draws.mean(SAMPLE, skipna=False), draws.std(SAMPLE, ddof=1, skipna=False)
