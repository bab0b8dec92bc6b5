"""A predictor, the family of its responses and draws of both: what checks of a model start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.posterior.predictions import at_rows
from numpyro_splines.regression import AdditivePredictor
from numpyro_splines.regression.checks import check_names
from numpyro_splines.regression.evaluation import all_parameters, draws_together
from numpyro_splines.regression.families import AbstractFamily, checked_family
from numpyro_splines.validation import float64_array, integer_at_least


class ModelDraws(NamedTuple):
    """Some draws, one after the other, of all that a distribution of the responses needs.

    Attributes:
        predictor: at the rows.
        family: of the responses.
        y: the responses, shape (n,); None where they are not asked for.
        sites: draws of the predictor and the family by site name, leading axis (draws,).
        given: parameters of the family that are no draws, likewise.
        prefix: of the names of sites.
        index: names of the rows, shape (n,).
        shape: numbers of chains and draws, of all draws.
        sample: their coordinates by name.
    """

    predictor: AdditivePredictor
    family: AbstractFamily
    y: np.ndarray | None
    sites: dict[str, np.ndarray]
    given: dict[str, np.ndarray]
    prefix: str
    index: Any
    shape: tuple[int, int]
    sample: dict[str, np.ndarray]

    @property
    def num_draws(self) -> int:
        """The number of draws."""
        return len(next(iter(self.sites.values())))

    @property
    def responses(self) -> np.ndarray:
        """y, where there must be some."""
        assert self.y is not None
        return self.y

    def pieces(self) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
        """Sites in JAX and parameters on the host, in float64, some draws after the others."""
        num = self.predictor.num_observations
        size = draws_together(num)
        for start in range(0, self.num_draws, size):
            own = slice(start, start + size)
            sites = {name: jnp.asarray(values[own]) for name, values in self.sites.items()}
            given = {name: values[own] for name, values in self.given.items()}
            drawn = self.family.drawn_parameters(sites, self.prefix)
            known = all_parameters(self.family, {**drawn, **given}, num)
            parameters = {k: np.asarray(known[k], np.float64) for k in self.parameter_shapes}
            for name, event in self.parameter_shapes.items():
                if parameters[name].shape[1:] != event:
                    raise ValueError(
                        f"`draws[{self.prefix + name!r}]` must have shape {event} behind the axes "
                        f"(chain, draw); got {parameters[name].shape[1:]}."
                    )
            yield sites, parameters

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one draw of each parameter of the family."""
        return self.family.parameter_shapes(self.predictor.num_observations)

    def linear_predictors(self) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """eta, float64 of shape (some draws, n), and the parameters of these draws."""
        for sites, parameters in self.pieces():
            eta = self.predictor.linear_predictor(sites, prefix=self.prefix)
            yield np.asarray(eta, np.float64), parameters


def model_draws(
    predictor: AdditivePredictor,
    draws: Any,
    family: Any,
    y: Any,
    rows: Any,
    parameters: Mapping[str, Any],
    *,
    num_draws: int | None,
    dim: str,
    prefix: str,
) -> ModelDraws:
    """Checked responses, and draws of a predictor and a family, at most `num_draws` of them.

    Args:
        predictor: the predictor.
        draws: as in `dataset`.
        family: of the responses.
        y: the responses, or None.
        rows: as in `linear_predictor`.
        parameters: of the family, in place of those in the draws.
        num_draws: of all draws so many, at even distances; None for all.
        dim: as in `linear_predictor`.
        prefix: likewise.
    """
    family = checked_family(family)
    predictor, named, index = at_rows(predictor, draws, rows, dim)
    predictor.rows.check(y)
    if rows is None and hasattr(y, "iloc"):
        index = y.index
    chains, each = (named.sizes[name] for name in SAMPLE)
    num = chains * each
    chosen = np.arange(num)
    if num_draws is not None and integer_at_least(num_draws, 1, "num_draws") < num:
        chosen = np.linspace(0, num - 1, num_draws).round().astype(int)
    arrays = {str(name): values.values for name, values in named.data_vars.items()}
    kept = _sites(predictor, family, arrays, prefix)
    check_names(predictor.blocks, family)
    shapes = family.parameter_shapes(predictor.num_observations)
    if unknown := sorted(set(parameters) - set(shapes)):
        raise TypeError(
            f"`parameters` must be those of {type(family).__name__}, {sorted(shapes)}; got "
            f"{unknown}. What is known of each observation, such as exposures, the family holds."
        )
    given = {
        name: _parameter(name, value, (chains, each), shapes.get(name, ()))
        for name, value in parameters.items()
    }
    return ModelDraws(
        predictor,
        family,
        None if y is None else family.check(y, predictor.num_observations),
        {name: arrays[name].reshape(num, *arrays[name].shape[2:])[chosen] for name in kept},
        {name: values[chosen] for name, values in given.items()},
        prefix,
        index,
        (chains, each),
        {name: named[name].values for name in SAMPLE if name in named.coords},
    )


def _sites(
    predictor: AdditivePredictor, family: AbstractFamily, arrays: Mapping[str, Any], prefix: str
) -> list[str]:
    """What the draws hold of the predictor, and of the family."""
    terms = {prefix + block.site for block in predictor.terms}
    starts = tuple(prefix + effect.site("") for effect in predictor.effects)
    found = [name for name in arrays if name in terms or name.startswith(starts)]
    if not found:
        raise KeyError(f"`draws` must hold the sites of the predictor; got {sorted(arrays)}.")
    names = family.parameter_shapes(predictor.num_observations)
    # Parameters with predictors of their own are scopes.
    own = {prefix + name for name in names}
    scopes = tuple(f"{name}/" for name in own)
    return found + [name for name in arrays if name in own or name.startswith(scopes)]


def _parameter(
    name: str, value: Any, sample: tuple[int, int], event: tuple[int, ...]
) -> np.ndarray:
    """A given parameter of the family, leading axis (draws,)."""
    values = float64_array(value, name)
    if values.shape not in (event, (*sample, *event)):
        raise ValueError(
            f"`{name}` must have the axes (chain, draw) of the draws, shape {(*sample, *event)}, "
            f"or be the same for all, {event}; got shape {values.shape}."
        )
    return np.broadcast_to(values, (*sample, *event)).reshape(-1, *event)
