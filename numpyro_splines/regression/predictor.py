"""Additive predictors: an intercept, linear terms and smooth effects at known inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.sparse
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.arguments import instance_of, mapping
from numpyro_splines.effects import AbstractEffect
from numpyro_splines.priors.coordinates import Coordinates, uninformed
from numpyro_splines.regression.batches import Batches
from numpyro_splines.regression.checks import check_parts, check_smooths, linear_terms
from numpyro_splines.regression.contrasts import AbstractContrasts, contrasts_of
from numpyro_splines.regression.evaluation import (
    SampledTerms,
    drawn_of,
    response_draws,
    terms_of_draws,
    total,
)
from numpyro_splines.regression.families import AbstractFamily, checked_family
from numpyro_splines.regression.frames import terms_of
from numpyro_splines.regression.layout import (
    OFFSET,
    Block,
    Own,
    deviations_of,
    gaussian,
    given_scales,
    layout,
    linear_columns,
    normal_moments,
    num_dimensions,
    sample_linear,
    section_values,
    sections_of,
    site_values,
)
from numpyro_splines.regression.new_rows import rows_at
from numpyro_splines.regression.rows import Rows, labels_of, rows_of
from numpyro_splines.regression.sparse import SparseDesign
from numpyro_splines.regression.streams import StreamedResponse, StreamedRows, streamed


class AdditivePredictor(eqx.Module):
    r"""eta_i = intercept + sum_k z_ik b_k + sum_j f_j(x_ij) at n known inputs, with its priors.

    As a linear model: eta = Phi c, where c stacks the coefficients of the intercept, the linear
    terms and the `linear` sites of the effects (the *fixed* ones, with known Normal or flat
    priors), then the `modes` of each effect, Normal(0, tau_j) with tau_j its scale. Phi is sparse
    and known: it is worked out here, once, in float64, in one pass over the data.

    The same object serves `sample` (all coefficients drawn in the model), `IntegratedGaussian`
    (coefficients integrated out) and `penalized_fit` (point estimates); `at` has the same terms at
    new rows, and `linear_predictor`, `partial`, `response` and `predict` evaluate draws. From the
    columns of a data frame: `from_frame`.

    Rows go by position. Where inputs are pandas objects, their index and that of a y which is one
    have to be the same, labels and order; NumPy arrays have none.

    A known `mean` of an effect's prior is a part of the offset; a `linear_scale` is a scale.

    Sites: "intercept", those of the linear terms, and those of the effects.

    Args:
        *smooths: tuples (effect, x) or, for effects of several inputs, (effect, x, z, ...), with
            the n inputs of the effect (arrays or pandas Series; of groups labels, or, where these
            are no integers, their positions); known ones, not random variables of the model.
        intercept: prior of the intercept: a `Normal`, or an `ImproperUniform` on the real line
            for a flat one; None for no intercept. Smooth effects are centered, so most models
            need one.
        linear: by site name, pairs (values, prior): n values, or (n, k) for a vector of k
            coefficients, or one number for a constant column; of labels their contrasts,
            `regression.Treatment(labels)` or `SumToZero(labels)`. The prior as for the intercept.
        by: by name of an effect, n numbers v that multiply it: v_i f(x_i), a coefficient that
            varies with x. f is centered, so v needs a `linear` term too. (A curve for each level
            of a factor is a `TensorEffect` with a `GroupMargin`.)
        offset: n known numbers that are added to eta, such as the logarithm of an exposure; or one.

    Raises:
        TypeError: if x is traced, an effect's prior is not Gaussian given its scale, or the prior
            of a fixed coefficient is neither `Normal` nor `ImproperUniform`.
        ValueError: if numbers of observations differ, names repeat, f is not defined at an x, or
            two effects hold the same curve of the same input, or indexes of pandas objects differ.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)))
        >>> eta = ns.AdditivePredictor((f, np.linspace(0.0, 1.0, 50)), intercept=dist.Normal())
        >>> [(block.site, block.stop - block.start) for block in eta.blocks]
        [('intercept', 1), ('f.linear', 1), ('f.modes', 6)]
    """

    effects: tuple[AbstractEffect, ...]
    rows: Rows | StreamedRows
    priors: tuple[dist.Distribution, ...]
    contrasts: tuple[AbstractContrasts | None, ...]
    location: np.ndarray
    scale: np.ndarray
    coordinates: tuple[Coordinates, ...]
    owned: tuple[Own, ...] = eqx.field(static=True)
    blocks: tuple[Block, ...] = eqx.field(static=True)
    constant: tuple[bool, ...] = eqx.field(static=True)

    def __init__(
        self,
        *smooths: tuple[Any, ...],
        intercept: dist.Distribution | None,
        linear: Mapping[str, tuple[Any, dist.Distribution]] | None = None,
        by: Mapping[str, Any] | None = None,
        offset: Any = None,
    ):
        check_smooths(smooths)
        self.effects = tuple(own[0] for own in smooths)
        terms = linear_terms(linear)
        if intercept is not None:
            terms = {"intercept": (1.0, intercept), **terms}
        self.priors = tuple(prior for _, prior in terms.values())
        moments = [normal_moments(prior) for prior in self.priors]
        named = {name: linear_columns(name, values) for name, (values, _) in terms.items()}
        self.contrasts = tuple(contrasts_of(values) for values, _ in terms.values())
        dimensions = [num_dimensions(values) for values, _ in terms.values()]
        self.constant = tuple(num == 0 for num in dimensions)
        sizes = tuple(v.shape[-1] for v in named.values())
        self.coordinates = tuple(uninformed(size) for size in sizes)
        self.owned = sections_of(self.effects, sum(sizes))
        scalars = tuple(num < 2 for num in dimensions)
        self.blocks = layout(self.effects, self.owned, tuple(terms), sizes, scalars)
        values = [own[1:] for own in smooths]
        by = mapping(by, "by")
        self.rows = rows_of(self.effects, self.owned, values, named, by, offset)
        check_parts(self.effects, self.rows.inputs, by)
        known = [s for e in self.effects for s in gaussian(e).sections if s.prior is not None]
        every = [own for own, size in zip(moments, sizes, strict=True) for _ in range(size)]
        every += [normal_moments(s.prior) for s in known for _ in range(s.size)]
        self.location, self.scale = np.array(every).reshape(-1, 2).T

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *smooths: Any,
        intercept: dist.Distribution | None,
        linear: Mapping[str, Any] | None = None,
        by: Mapping[str, str] | None = None,
        offset: str | None = None,
    ) -> AdditivePredictor:
        """A predictor of the columns of a data frame, by their names.

            eta = ns.AdditivePredictor.from_frame(
                frame, "age", ("longitude", "latitude"), (season, "day"), "school",
                intercept=dist.Normal(), linear={"dose": dist.Normal(), "sex": dist.Normal()},
                offset="log_exposure",
            )
            later = eta.at(new_frame)

        Args:
            frame: the data frame (pandas or its like), or arrays by name. Rows with missing values
                in columns that are used are refused; others are never looked at.
            *smooths: the name of a column for the default effect of that name: of numbers a
                `SplineEffect` on 10 breakpoints at quantiles, of labels (text or categories)
                groups, `TensorEffect` with a `GroupMargin`. Several names in a tuple for a
                function of them all: `TensorEffect` with 5 breakpoints for each column of numbers,
                named by the columns with "_" between them; with labels among them, curves by group.
                (effect, "column", ...) for an effect of your own. Columns are the measure of
                default effects.
            intercept: as in the constructor.
            linear: by column, the prior of its coefficient; columns of labels are factors, by
                their contrasts: `Treatment()`, or give (contrasts, prior), such as
                `{"sex": (SumToZero(), prior)}`. Site names are those of the columns.
            by: by name of an effect, the column of numbers that multiplies it.
            offset: the column of the offset.

        Returns:
            The predictor, which reads the same columns of new frames: `at(new_frame)`.

        Raises:
            TypeError: if a smooth is none of these, or as the constructor.
            ValueError: if columns are missing, or values in them, or do not vary; or as the
                constructor.
        """
        linear, by = mapping(linear, "linear"), mapping(by, "by")
        new = terms_of(frame, smooths, linear, by, offset)
        made = cls(
            *new.smooths, intercept=intercept, linear=new.linear, by=new.by, offset=new.offset
        )
        rows = replace(made.rows, sources=new.sources, labels=labels_of([("frame", frame)]))
        return eqx.tree_at(lambda p: p.rows, made, rows)

    @classmethod
    def from_batches(
        cls,
        batches: Any,
        *smooths: Any,
        response: str,
        intercept: dist.Distribution | None,
        linear: Mapping[str, Any] | None = None,
        by: Mapping[str, str] | None = None,
        offset: str | None = None,
        family: AbstractFamily | Callable[[Any], AbstractFamily] | None = None,
        sample: Any = None,
        file: Any = None,
        progress_bar: bool = True,
    ) -> tuple[AdditivePredictor, StreamedResponse]:
        """A predictor of rows that come in batches, any number of them, and the responses.

            eta, y = ns.AdditivePredictor.from_batches(
                lambda: pyarrow.parquet.ParquetFile("trips.parquet").iter_batches(),
                "hour", ("longitude", "latitude"), response="log_duration",
                intercept=dist.Normal(0.0, 10.0),
            )
            fit = ns.regression.penalized_fit(eta, y)
            regression = ns.regression.IntegratedGaussian(eta)  # y where a model has y
            later = eta.at(new_frame)

        One pass, in memory of the size of a batch. Of Gaussian responses it keeps sums of
        products, in float64 and compensated, so that afterwards nothing depends on n: models that
        integrate the coefficients out sample as fast as at a few rows, with the same posterior as
        of all rows in memory. Fits of other families visit the batches again for each iteration.
        What needs single rows asks for `at(frame)`.

        In directions in which the design has less than 1e-6 of its largest variance sums of
        products know it to 1e-16 over that share, rows in memory to rounding.

        Args:
            batches: an iterable of data frames, of arrays by name, or of Arrow, Polars or Dask
                frames (a partition each), or a function without arguments that returns one. Of an
                iterator, which is over after one pass, Gaussian responses only.
            *smooths: as in `from_frame`. Effects that are not given take knots, levels and measure
                from `sample`.
            response: the column of the responses.
            intercept: as in `from_frame`.
            linear: as in `from_frame`.
            by: as in `from_frame`.
            offset: as in `from_frame`.
            family: of the responses, `Gaussian()` if omitted; where it knows something of each
                row, a function that makes it of a batch, such as
                `lambda batch: Poisson(exposure=batch["days"])`.
            sample: a data frame of rows from all over, some thousands; the first rows if omitted.
            file: where to keep the sums, written every ten seconds and whole or not at all. If the
                process is killed, the same call goes on where the file ends; if the file is
                complete, only the first batch is read. Delete it when the data change.
            progress_bar: whether to show how many rows are done.

        Returns:
            The predictor, and what takes the place of y: in `penalized_fit` (without `family`),
            as `obs` of `IntegratedGaussian.distribution`, and in `IntegratedGaussian.draw`.

        Raises:
            TypeError: if `batches` is one frame, or an iterator where there must be several passes;
                or as `from_frame`.
            ValueError: if a batch lacks values, has unknown labels or impossible responses (the
                message has its number), `file` is damaged or of other data, or as `from_frame`.

        Example:
            >>> rng = np.random.default_rng(1)
            >>> def batch():
            ...     x = rng.uniform(size=1000)
            ...     return {"x": x, "y": np.sin(6.0 * x) + rng.normal(0.0, 0.1, 1000)}
            >>> eta, y = AdditivePredictor.from_batches(
            ...     (batch() for _ in range(20)),
            ...     "x",
            ...     response="y",
            ...     intercept=dist.Normal(),
            ...     progress_bar=False,
            ... )
            >>> import numpyro_splines as ns
            >>> fit = ns.regression.penalized_fit(eta, y)
            >>> print(eta.num_observations, fit.values["sigma"].round(2))
            20000 0.1
        """
        batches = Batches(batches)
        sample = batches.head() if sample is None else sample
        made = cls.from_frame(
            sample, *smooths, intercept=intercept, linear=linear, by=by, offset=offset
        )
        rows, y = streamed(made, batches, response, family, file=file, progress_bar=progress_bar)
        return eqx.tree_at(lambda p: p.rows, made, rows), y

    def at(
        self, rows: Any, *, by: Mapping[str, Any] | None = None, offset: Any = None
    ) -> AdditivePredictor:
        """The same terms at new rows: effects, priors, coordinates and levels of factors.

        What it returns serves as the predictor does: `sample` in a model that is to predict,
        `linear_predictor(draws)` after inference. Beyond the domain of an effect it is what its
        extrapolation says.

        Args:
            rows: of a predictor that was made by `from_frame` a data frame with the same columns,
                in any order. Else a mapping by name: of each effect its input, or a tuple of its
                inputs; of each linear term its values, of factors the labels. Constant columns
                may be left out.
            by: by name of each effect that is multiplied, the numbers there. In a frame already.
            offset: the offset there, as in the constructor: needed where the predictor has one. In
                a frame already.

        Returns:
            The predictor at the new rows.

        Raises:
            TypeError: if `rows` is no frame or mapping, or `by` or `offset` come with a frame.
            ValueError: if a row lacks what a term needs, a label is unknown, or numbers of rows
                differ.
        """
        return eqx.tree_at(lambda p: p.rows, self, rows_at(self, rows, by, offset))

    @property
    def in_memory(self) -> Rows:
        """The rows.

        Raises:
            TypeError: if they came in batches.
        """
        return self.rows.in_memory

    @property
    def terms(self) -> tuple[Block, ...]:
        """The blocks of the linear terms, the intercept first."""
        return self.blocks[: len(self.priors)]

    @property
    def inputs(self) -> tuple[tuple[np.ndarray, ...], ...]:
        """Inputs of each effect: numbers and positions of levels, arrays of shape (n,)."""
        return self.in_memory.inputs

    @property
    def offset(self) -> np.ndarray:
        """What is known of eta in advance: the offset, and curves that effects vary about (n,)."""
        return self.in_memory.known

    @property
    def columns(self) -> np.ndarray:
        """Columns of the linear terms, shape (n, k)."""
        return self.in_memory.columns

    @property
    def sparse(self) -> SparseDesign:
        """The design."""
        return self.in_memory.sparse

    @property
    def num_observations(self) -> int:
        """The number n of observations."""
        return self.rows.num_observations

    @property
    def num_fixed(self) -> int:
        """How many of the coefficients are fixed effects; they come first."""
        return self.scale.shape[0]

    @property
    def num_coefficients(self) -> int:
        """The number p of coefficients c."""
        return self.blocks[-1].stop if self.blocks else 0

    def block(self, site: str) -> slice:
        """Where the coefficients of a site lie in c.

        Args:
            site: full name of the site, such as "f.modes".

        Returns:
            A slice of the last axis of c.
        """
        return next(slice(b.start, b.stop) for b in self.blocks if b.site == site)

    def _random(self) -> tuple[Own, ...]:
        """Sections whose standard deviations depend on hyperparameters."""
        return tuple(own for own in self.owned if not own.known)

    def random_blocks(self) -> list[slice]:
        """Blocks of c with one standard deviation each, from hyperparameters."""
        blocks = []
        for own in self._random():
            step = own.stop - own.start if own.common else 1
            blocks += [slice(i, i + step) for i in range(own.start, own.stop, step)]
        return blocks

    def deviations(self, values: Sequence[Mapping[str, Any]]) -> Any:
        """Standard deviations of the random blocks.

        Args:
            values: hyperparameters of each effect by short names; NumPy or JAX.

        Returns:
            Shape (*batch, number of random blocks), in the units of the predictor.
        """
        return deviations_of(self.effects, self._random(), values)

    def sample(self, scales: ArrayLike | None = None) -> Float[Array, "..."]:
        """Draw all coefficients inside a model and return eta at the n observations.

        The full model, for any likelihood; call it outside the plate over observations.

        Args:
            scales: of the sites `scale_sites`, drawn elsewhere in the model (shared, or from a
                joint prior such as `scales.variance_partition`), instead of drawing them here;
                shape (..., number of them).

        Returns:
            eta, shape (..., n), in the units of the predictor.
        """
        return self.sample_terms(scales)()

    def sample_terms(self, scales: ArrayLike | None = None) -> SampledTerms:
        """Draw all coefficients inside a model and return eta as a function of rows.

        For minibatches: a step evaluates its rows only, prepared as all are.

            def model(y):
                terms = predictor.sample_terms()
                with numpyro.plate("rows", y.size, subsample_size=1000) as i:
                    numpyro.sample("y", dist.Poisson(jnp.exp(terms(i))), obs=y[i])

        Args:
            scales: as in `sample`, shape (..., number of `scale_sites`).

        Returns:
            A function: `terms()` is what `sample` returns, `terms(index)` at some rows.
        """
        rows = self.in_memory
        linear = sample_linear(self.terms, self.priors, self.coordinates)
        pairs = zip(self.effects, self._given(scales), strict=True)
        return SampledTerms(rows, linear, tuple(effect.sample(**own) for effect, own in pairs))

    def sample_hyperparameters(self, scales: ArrayLike | None = None) -> list[dict[str, Any]]:
        """Draw (or, where fixed, take) the hyperparameters of all effects inside a model.

        Args:
            scales: as in `sample`, shape (..., number of `scale_sites`), instead of drawing them
                here; recorded as deterministic sites.

        Returns:
            For each effect, by short names, in the units of the predictor.
        """
        pairs = zip(self.effects, self._given(scales), strict=True)
        return [gaussian(effect).hyperparameters(effect.site, own) for effect, own in pairs]

    def sample_deviations(self, scales: ArrayLike | None = None) -> Float[Array, "*batch blocks"]:
        """`deviations` of hyperparameters drawn inside a model.

        Args:
            scales: as in `sample`, shape (*batch, number of `scale_sites`).

        Returns:
            Standard deviation of each random block, shape (*batch, number of them).
        """
        return self.deviations(self.sample_hyperparameters(scales))

    @property
    def scale_sites(self) -> tuple[str, ...]:
        """Full names of the sites of all scales, in the order in which they are given."""
        return tuple(e.site(name) for e in self.effects for name in gaussian(e).scale_priors)

    def _given(self, scales: ArrayLike | None) -> list[dict[str, Any]]:
        """Given scales of each effect by short names."""
        return given_scales(self.effects, self.scale_sites, scales)

    def evaluate(self, coefficients: Float[Array, "..."] | np.ndarray) -> Float[Array, "..."]:
        """Phi c in JAX, through the spline engine: cost O(n degree).

        Args:
            coefficients: c, shape (p,).

        Returns:
            eta, shape (n,), dtype of the coefficients.
        """
        num = self.columns.shape[1]
        functions = []
        for j, effect in enumerate(self.effects):
            own = gaussian(effect).varying(section_values(self.owned, j, coefficients))
            functions.append(effect.function(own))
        return total(self.in_memory.some(), coefficients[:num], tuple(functions))

    def linear_predictor(
        self, draws: Mapping[str, Any], *, prefix: str = ""
    ) -> Float[Array, "*batch n"]:
        """eta at the rows, from draws of the coefficients.

        Args:
            draws: arrays by site name with any common leading axes: draws of a model with `sample`,
                of `IntegratedGaussian.draw`, or `values` of a fit.
            prefix: what a `numpyro.handlers.scope` put before the site names, divider included.

        Returns:
            Shape (..., n), in the units of the predictor.

        Raises:
            KeyError: if the sites of a term are missing.
            ValueError: if shapes do not fit.
        """
        drawn = drawn_of(self, draws, prefix)
        return terms_of_draws(self.in_memory, self.terms, drawn, together=True)

    def partial(
        self, draws: Mapping[str, Any], *, prefix: str = ""
    ) -> dict[str, Float[Array, "*batch n"]]:
        """What each term adds to eta at the rows; the sum of all is `linear_predictor`.

        Args:
            draws: as in `linear_predictor`.
            prefix: as in `linear_predictor`.

        Returns:
            By name of the linear terms ("intercept" first), of the effects, and "offset" where one
            was given; each of shape (..., n).

        Raises:
            KeyError: as `linear_predictor`.
            ValueError: as `linear_predictor`.
        """
        parts = terms_of_draws(self.in_memory, self.terms, drawn_of(self, draws, prefix))
        names = [*(block.site for block in self.terms), *(e.name for e in self.effects)]
        result = dict(zip(names, parts, strict=True))
        if (offset := self.in_memory.offset) is not None:
            result[OFFSET] = jnp.broadcast_to(jnp.asarray(offset, parts[0].dtype), parts[0].shape)
        return result

    def response(
        self, draws: Mapping[str, Any], family: AbstractFamily, *, prefix: str = ""
    ) -> Float[Array, "*batch n"]:
        """The expected response at the rows, `family.inverse_link(eta)`.

        Args:
            draws: as in `linear_predictor`.
            family: of the responses.
            prefix: as in `linear_predictor`.

        Returns:
            Shape (..., n), in the units of the response: of one unit of exposure, or one trial.

        Raises:
            KeyError: as `linear_predictor`.
            TypeError: if `family` is none.
            ValueError: as `linear_predictor`.
        """
        own = checked_family(family).drawn_parameters(draws, prefix)
        return family.inverse_link(self.linear_predictor(draws, prefix=prefix), **own)

    def predict(
        self,
        key: Array,
        draws: Mapping[str, Any],
        family: AbstractFamily,
        *,
        prefix: str = "",
        **parameters: Any,
    ) -> Float[Array, "*batch n"]:
        """Posterior predictive draws: a response at each row for each draw.

        Args:
            key: random key.
            draws: as in `linear_predictor`, with the parameters of the family by site name.
            family: of the responses; what it knows of each observation (exposures, trials, weights)
                belongs to these rows.
            prefix: as in `linear_predictor`.
            **parameters: of the family, in place of those in the draws.

        Returns:
            Shape (..., n), in the units of the response.

        Raises:
            KeyError: if a parameter is missing, or as `linear_predictor`.
            TypeError: if `family` is none.
            ValueError: if the family does not fit the rows, or as `linear_predictor`.
        """
        own = checked_family(family).drawn_parameters(draws, prefix) | parameters
        return response_draws(key, family, self.linear_predictor(draws, prefix=prefix), own)

    def design(self) -> scipy.sparse.csr_array:
        """The n rows in local functions: Phi = design @ local_matrix; float64 on the host."""
        return self.sparse.rows()

    @property
    def local_matrix(self) -> np.ndarray:
        """Each local function in terms of c."""
        return self.sparse.matrix

    def gram(self, weights: np.ndarray) -> np.ndarray:
        """Phi' diag(weights) Phi in one pass over the data.

        Args:
            weights: one per observation, shape (n,).

        Returns:
            Symmetric matrix, shape (p, p), float64.

        Raises:
            ValueError: if an effect is not defined at all rows.
        """
        return self.rows.weighted_gram(weights)

    def sites(self, coefficients: Any) -> dict[str, Any]:
        """Values by site name of coefficients c, `<effect>.coefficients` too.

        Args:
            coefficients: c with any leading axes, shape (..., p), NumPy or JAX.

        Returns:
            Arrays with the same leading axes; scalars of the model have no further one.
        """
        return site_values(self.effects, self.owned, self.blocks, coefficients)


def checked_predictor(predictor: Any) -> AdditivePredictor:
    """The predictor, if it is one."""
    return instance_of(predictor, AdditivePredictor, "predictor")
