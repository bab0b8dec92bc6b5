"""What was measured of inputs: checked, in long form, with its sufficient statistics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from numpyro_splines.validation import is_traced, real_array


class Measurements(NamedTuple):
    """All measurements, one below the other, as numbers.

    Attributes:
        row: which input each belongs to, shape (m,).
        value: in float64, shape (m,).
        error: standard deviation of each in float64, about right where it is estimated.
        num_rows: how many inputs.
    """

    row: Int[np.ndarray, " m"]
    value: Float[np.ndarray, " m"]
    error: Float[np.ndarray, " m"]
    num_rows: int

    @property
    def num_measured(self) -> Int[np.ndarray, " n"]:
        """How many measurements each input has."""
        return np.bincount(self.row, minlength=self.num_rows)

    def means(self) -> Float[np.ndarray, " n"]:
        """Mean of the measurements of each input; NaN where there are none."""
        count, total = self.num_measured, np.bincount(self.row, self.value, self.num_rows)
        return np.divide(total, count, out=np.full(self.num_rows, np.nan), where=count > 0)

    def mean_variances(self) -> Float[np.ndarray, " n"]:
        """Variance of the error of each mean; NaN where there are no measurements."""
        count, total = self.num_measured, np.bincount(self.row, self.error**2, self.num_rows)
        out = np.full(self.num_rows, np.nan)
        return np.divide(total, count**2, out=out, where=count > 0)

    def of_rows(self, chosen: np.ndarray) -> Int[np.ndarray, " k"]:
        """Which measurements belong to some of the inputs.

        Args:
            chosen: of the inputs, booleans of shape (n,).
        """
        return np.flatnonzero(chosen[self.row])

    def only(self, chosen: np.ndarray) -> Measurements:
        """Those of some of the inputs, which are numbered anew."""
        number, kept = np.cumsum(chosen) - 1, self.of_rows(chosen)
        return Measurements(
            number[self.row[kept]], self.value[kept], self.error[kept], int(chosen.sum())
        )

    def overall(self) -> tuple[float, float]:
        """Mean and standard deviation of inputs, as far as the measurements tell.

        The spread is that of the rows' means and no less than their errors: a few means may be near
        each other by chance.
        """
        mean = self.means()
        mean = mean[~np.isnan(mean)]
        if not mean.size:
            return 0.0, 1.0
        return float(mean.mean()), float(np.hypot(mean.std(), self.error.mean()) or 1.0)

    def placement(self) -> tuple[Array, Array]:
        """Where measurements put each input, and how exactly: center and spread, shape (n,).

        Mean and standard deviation of x given its measurements in a normal population of the mean
        and the spread that they tell.
        """
        return self.posterior(self.value, self.error, *self.overall())[1:]

    def log_density(self, x: Float[Array, "... n"], value: Any, error: Any) -> Array:
        """log p(values of a row | x) = sum_j log N(value_j; x, error_j), through the row's mean.

        Args:
            x: inputs.
            value: measurements, shape (m,).
            error: standard deviations, shape (m,).

        Returns:
            Shape (..., n).
        """
        precision, mean, constant = self._statistics(jnp.asarray(value, x.dtype), error)
        return constant - 0.5 * precision * (mean - x) ** 2

    def posterior(
        self, value: Any, error: Any, mean: Any, spread: Any
    ) -> tuple[Array, Array, Array]:
        """log p(values of a row) under x ~ Normal(mean, spread), and mean and sd of x given them.

        Args:
            value: measurements, shape (m,).
            error: standard deviations, shape (m,).
            mean: of the population.
            spread: its standard deviation.

        Returns:
            All of shape (n,).
        """
        precision, measured, constant = self._statistics(value, error)
        share = precision * spread**2
        residual = (measured - mean) / spread
        log_density = constant - 0.5 * (jnp.log1p(share) + share / (1.0 + share) * residual**2)
        center = mean + share / (1.0 + share) * (measured - mean)
        return log_density, center, spread * (1.0 + share) ** -0.5

    def total(self, terms: Float[Array, "... m"]) -> Float[Array, "... n"]:
        """Sums of terms of the measurements of each row."""
        sums = jax.ops.segment_sum(jnp.moveaxis(terms, -1, 0), self.row, self.num_rows)
        return jnp.moveaxis(sums, 0, -1)

    def _statistics(self, value: Any, error: Any) -> tuple[Array, Array, Array]:
        """Precision and weighted mean of each row, and the log density at that mean."""
        dtype = jnp.result_type(float)
        value, error = jnp.asarray(value, dtype), jnp.asarray(error, dtype)
        precision = self.total(error**-2)
        # A row without measurements has precision zero, and any mean.
        mean = self.total(value / error**2) / jnp.where(precision > 0, precision, 1.0)
        residual = (value - mean[self.row]) / error
        constant = -0.5 * residual**2 - jnp.log(error) - 0.5 * jnp.log(2.0 * jnp.pi)
        return precision, mean, self.total(constant)


class Layout(NamedTuple):
    """How what users give, one per row or one per measurement, becomes one per measurement.

    Attributes:
        shape: of what was observed.
        row: the row of each entry, flat.
        num_rows: how many rows.
        grouped: whether rows were named one by one, so that nothing may be given per row.
        seen: which entries were observed, indices into the flat form.
    """

    shape: tuple[int, ...]
    row: np.ndarray
    num_rows: int
    grouped: bool
    seen: np.ndarray

    def long(self, values: Any) -> Any:
        """A number, one per row or one per measurement, as one per measurement that there is.

        Args:
            values: of a shape that was checked; may be traced.
        """
        xp = jnp if isinstance(values, jax.Array) else np
        if xp.ndim(values) == 1 and len(self.shape) == 2:
            values = values[:, None]
        return xp.broadcast_to(values, self.shape).ravel()[self.seen]

    def errors(self, error_sd: Any) -> Any:
        """Standard deviations of the errors, checked, one per measurement that there is."""
        seen = np.zeros(self.row.size, bool)
        seen[self.seen] = True
        allowed = None if self.grouped else self.num_rows
        return self.long(checked_errors(error_sd, self.shape, allowed, seen.reshape(self.shape)))


def observations(observed: Any, group: Any) -> tuple[np.ndarray, Layout]:
    """Values of the measurements that there are, in float64, and their layout.

    Args:
        observed: shape (n,), (n, r), or (m,) with `group`.
        group: the row of each, or None.

    Raises:
        TypeError: if values are not concrete real numbers, or groups not integers.
        ValueError: if shapes differ, nothing was observed, or a value is infinite.
    """
    if is_traced(observed):
        raise TypeError(
            "`observed` must be concrete numbers; got a traced value. Make the input outside the "
            "model, of NumPy or JAX arrays, not of an argument of jit, vmap or `jit_model_args`."
        )
    values = np.asarray(real_array(observed, "observed", missing="nan"), dtype=np.float64)
    if np.isinf(values).any():
        raise ValueError("`observed` must be finite, or NaN where missing; got infinity.")
    if np.isnan(values).all():
        raise ValueError("`observed` must hold at least one observation; all entries are NaN.")
    row, num_rows = _rows(values, group)
    seen = np.flatnonzero(~np.isnan(values.ravel()))
    return values.ravel()[seen], Layout(values.shape, row, num_rows, group is not None, seen)


def error_guess(data: Measurements) -> float:
    """The size of an error that is not known: from replicates, or a third of the spread.

    Args:
        data: of any errors.
    """
    mean, freedom = data.means(), np.maximum(data.num_measured - 1, 0).sum()
    within = np.sqrt(((data.value - mean[data.row]) ** 2).sum() / max(freedom, 1))
    return float(within or np.nanstd(mean) / 3.0 or 1.0)


def checked_errors(
    error_sd: Any,
    shape: tuple[int, ...],
    num_rows: int | None = None,
    seen: np.ndarray | None = None,
) -> Any:
    """Standard deviations of errors: one number, one per row, or one per measurement.

    Args:
        error_sd: what the user gave; may be traced.
        shape: of the measurements.
        num_rows: n, where one per row is allowed.
        seen: which of them there are, all if omitted; the error of another may be missing too.

    Raises:
        ValueError: if the shape is another, or a concrete value negative or not finite.
    """
    # On the host unless it is traced: what is staged into a compiled model has no numbers.
    error = real_array(error_sd, "error_sd", missing="nan")
    error = error if is_traced(error) else np.asarray(error, dtype=np.float64)
    allowed = [(), shape] + ([(num_rows,)] if num_rows is not None else [])
    if error.shape not in allowed:
        raise ValueError(
            f"`error_sd` must be one number, or of shape {' or '.join(map(str, allowed[1:]))}; got "
            f"shape {error.shape}."
        )
    if not is_traced(error):
        bad = ~((error >= 0.0) & np.isfinite(error))
        if seen is not None and error.ndim:
            needed = seen if error.shape == shape else seen.any(axis=-1)
            bad &= needed | ~np.isnan(error)
        if bad.any():
            raise ValueError(
                "`error_sd` must be finite and not negative, zero for rows that are known exactly; "
                f"got {error[bad].ravel()[0]}."
            )
    return error


def _rows(values: np.ndarray, group: Any) -> tuple[np.ndarray, int]:
    """The row of each entry, and how many there are."""
    if group is None:
        if values.ndim not in (1, 2):
            raise ValueError(
                f"`observed` must have shape (n,) or (n, replicates); got {values.shape}."
            )
        width = values.size // len(values)
        return np.repeat(np.arange(len(values)), width), len(values)
    try:
        rows = np.asarray(group)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`group` must hold integers from 0 to n - 1: {error}.") from error
    if not np.issubdtype(rows.dtype, np.integer):
        raise TypeError(
            f"`group` must hold integers from 0 to n - 1; got dtype {rows.dtype}. "
            "pandas.factorize makes them from labels."
        )
    if values.ndim != 1 or rows.shape != values.shape:
        raise ValueError(
            f"`group` must hold one row for each of the measurements, shape {values.shape}; got "
            f"{rows.shape}."
        )
    if rows.min() < 0:
        raise ValueError(f"`group` must hold integers from 0 to n - 1; got {rows.min()}.")
    return rows, int(rows.max()) + 1


def row_list(rows: np.ndarray) -> str:
    """The first rows by number, for a message."""
    return ", ".join(map(str, rows[:10])) + (", ..." if rows.size > 10 else "")
