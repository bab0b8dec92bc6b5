"""What was measured of inputs: checked, in long form, with its sufficient statistics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from numpyro_splines.validation import is_traced, real_array


class Measurements(NamedTuple):
    """All measurements, one below the other.

    Attributes:
        row: which input each belongs to, shape (m,).
        value: in float64, shape (m,).
        error: standard deviation of each, shape (m,): numbers in float64, or traced.
        guess: the same in numbers, in float64; about right where the error is random.
        exact: which inputs are known exactly, shape (n,).
    """

    row: Int[np.ndarray, " m"]
    value: Float[np.ndarray, " m"]
    error: Any
    guess: Float[np.ndarray, " m"]
    exact: np.ndarray

    @property
    def num_rows(self) -> int:
        """How many inputs."""
        return self.exact.size

    def exact_values(self) -> Float[np.ndarray, " n"]:
        """Inputs known exactly; zero for the others."""
        values = np.zeros(self.num_rows)
        sure = self.exact[self.row]
        values[self.row[sure]] = self.value[sure]
        if np.any(wrong := sure & (values[self.row] != self.value)):
            row = int(self.row[np.argmax(wrong)])
            raise ValueError(
                "`observed` must hold one value where `error_sd` is zero; got "
                f"{np.unique(self.value[self.row == row])} in row {row}."
            )
        return values

    @property
    def num_measured(self) -> Int[np.ndarray, " n"]:
        """How many measurements each input has."""
        return np.bincount(self.row, minlength=self.num_rows)

    def means(self) -> Float[np.ndarray, " n"]:
        """Mean of the measurements of each input; NaN where there are none."""
        count, total = self.num_measured, np.bincount(self.row, self.value, self.num_rows)
        return np.divide(total, count, out=np.full(self.num_rows, np.nan), where=count > 0)

    def error_guess(self) -> float:
        """The size of a random error, which has no number while the model is written.

        From the replicates, or a third of the spread of the measurements.
        """
        mean, freedom = self.means(), np.maximum(self.num_measured - 1, 0).sum()
        within = np.sqrt(((self.value - mean[self.row]) ** 2).sum() / max(freedom, 1))
        return float(within or np.nanstd(mean) / 3.0 or 1.0)

    def only(self, chosen: np.ndarray) -> Measurements:
        """Some of the inputs, numbered anew."""
        number = np.cumsum(chosen) - 1
        kept = np.flatnonzero(chosen[self.row])
        return Measurements(
            number[self.row[kept]],
            self.value[kept],
            self.error[kept],
            self.guess[kept],
            self.exact[chosen],
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
        error = self.guess.mean() if self.guess.size else 0.0
        return float(mean.mean()), float(np.hypot(mean.std(), error) or 1.0)

    def placement(self, error: Any, mean: Any = None, spread: Any = None) -> tuple[Array, Array]:
        """Where measurements put each input, and how exactly: center and spread, shape (n,).

        Mean and standard deviation of x given its measurements under a normal population.

        Args:
            error: standard deviations, shape (m,).
            mean: of the population; with its spread as measured if omitted.
            spread: its standard deviation.
        """
        if mean is None or spread is None:
            mean, spread = self.overall()
        precision, measured, _ = self._statistics(self.value, error)
        share = precision * spread**2
        return mean + share / (1.0 + share) * (measured - mean), spread * (1.0 + share) ** -0.5

    def log_density(self, x: Float[Array, "... n"], value: Any) -> Float[Array, "... n"]:
        """log p(values of a row | x) = sum_j log N(value_j; x, error_j), through the row's mean.

        Args:
            x: inputs.
            value: measurements, shape (m,).
        """
        value = jnp.asarray(value, x.dtype)
        precision, mean, constant = self._statistics(value, self.error)
        return constant - 0.5 * precision * (mean - x) ** 2

    def _statistics(self, value: Any, error: Any) -> tuple[Array, Array, Array]:
        """Precision and weighted mean of each row, and the log density at that mean."""
        dtype = jnp.result_type(float)
        value, error = jnp.asarray(value, dtype), jnp.asarray(error, dtype)

        def total(terms: Array) -> Array:
            return jax.ops.segment_sum(terms, self.row, self.num_rows)

        precision = total(error**-2)
        # A row without measurements has precision zero, and any mean.
        mean = total(value / error**2) / jnp.where(precision > 0, precision, 1.0)
        residual = (value - mean[self.row]) / error
        constant = -0.5 * residual**2 - jnp.log(error) - 0.5 * jnp.log(2.0 * jnp.pi)
        return precision, mean, total(constant)


def measurements(observed: Any, error_sd: Any, group: Any) -> Measurements:
    """The checked arguments of `measured` in long form.

    Raises:
        TypeError: if values are not real numbers, or groups not integers.
        ValueError: if shapes differ, nothing was observed, or an error is negative or not finite.
    """
    if is_traced(observed):
        raise TypeError(
            "`observed` must be concrete numbers; got a traced value. Give the model its "
            "measurements as NumPy or JAX arrays, not through jit, vmap or `jit_model_args`."
        )
    values = np.asarray(real_array(observed, "observed", missing="nan"), dtype=np.float64)
    if np.isinf(values).any():
        raise ValueError("`observed` must be finite, or NaN where missing; got infinity.")
    if np.isnan(values).all():
        raise ValueError("`observed` must hold at least one observation; all entries are NaN.")
    row, num_rows = _rows(values, group)
    error = checked_errors(
        error_sd, values.shape, num_rows if group is None else None, ~np.isnan(values)
    )
    seen = np.flatnonzero(~np.isnan(values.ravel()))
    row, value = row[seen], values.ravel()[seen]
    if error.ndim == 1 and values.ndim == 2:
        error = error[:, None]
    xp = jnp if is_traced(error) else np
    error = xp.broadcast_to(error, values.shape).ravel()[seen]
    guess = np.full(seen.shape, np.nan) if is_traced(error) else np.asarray(error)
    exact = np.zeros(num_rows, bool)
    exact[row[guess == 0.0]] = True
    data = Measurements(row, value, error, guess, exact)
    return data._replace(guess=np.where(np.isnan(guess), data.error_guess(), guess))


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
    rows = np.asarray(group)
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
