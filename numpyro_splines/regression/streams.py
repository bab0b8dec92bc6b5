"""Rows of data that come in batches, of which only sums are kept in memory."""

from __future__ import annotations

import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from tqdm.auto import tqdm

from numpyro_splines.regression.batches import Batches, pieces
from numpyro_splines.regression.families import AbstractFamily, Gaussian, checked_family
from numpyro_splines.regression.frames import columns_of
from numpyro_splines.regression.likelihoods import AbstractLikelihood, GaussianLikelihood
from numpyro_splines.regression.local import axes_of
from numpyro_splines.regression.new_rows import rows_at
from numpyro_splines.regression.newton_likelihood import NewtonLikelihood, Part, start_of, working
from numpyro_splines.regression.rows import Rows
from numpyro_splines.regression.sums import LeastSquares, RowSums, least_squares
from numpyro_splines.writing import replacing

# Seconds of work that may be lost when a process is killed.
_SAVED_EVERY = 10.0

# Share of the rows beyond the knots of an effect from which on that is said: more than chance puts
# there where knots are from some hundreds of the same.
_BEYOND = 0.01

_FORMAT = 1


class StreamedRows(eqx.Module):
    """Sums over the rows of a predictor, in place of the rows.

    Attributes:
        template: the rows of the first batch: the same terms, which new rows are like.
        gram: Phi' W Phi, shape (p, p).
        log_weights: sum of the logarithms of the weights.
        num_observations: n.
    """

    template: Rows
    gram: Any
    log_weights: Any
    num_observations: int = eqx.field(static=True)

    @property
    def in_memory(self) -> Rows:
        """Refused: the rows were visited and forgotten."""
        raise TypeError(
            "`predictor` must have its rows in memory for this; those of from_batches are visited "
            "and forgotten. Take the same terms at a data frame: predictor.at(frame)."
        )

    def observation_weights(self, weights: Any) -> None:
        """None: weights belong to the batches."""
        if weights is not None:
            raise TypeError(
                "`weights` must be left out for rows in batches, which have their own: "
                'from_batches(..., family=lambda batch: Gaussian(batch["weights"])).'
            )

    def weighted_gram(self, weights: np.ndarray | None) -> np.ndarray:
        """The Gram matrix."""
        self.observation_weights(weights)
        return self.gram

    def inner(
        self, directions: np.ndarray, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """D' Phi' W Phi D and D' Phi' W Phi, from the Gram matrix."""
        self.observation_weights(weights)
        cross = directions.T @ self.gram
        return cross @ directions, cross

    def check(self, y: Any) -> None:
        """Refuse other responses than those of the batches."""
        if not isinstance(y, StreamedResponse) or y.sums.num != self.num_observations:
            raise TypeError(
                "`y` must be what from_batches returned with the predictor, `predictor, y = "
                f"AdditivePredictor.from_batches(...)`; got {type(y).__name__}."
            )


class StreamedResponse(eqx.Module):
    """Responses of rows that came in batches: takes the place of y in models and fits.

    Made by `AdditivePredictor.from_batches`, with the predictor that it belongs to.

    Attributes:
        sums: those of Gaussian responses; of other families, those of working responses.
        family: of the responses; what it knows of single rows is that of some of the first.
        first: responses of these.
        parts: the rows, visited anew for each iteration of a fit.
    """

    sums: LeastSquares
    family: AbstractFamily
    first: np.ndarray
    parts: StreamedParts = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int]:
        """That of the responses, (n,)."""
        return (self.sums.num,)

    @property
    def ndim(self) -> int:
        """One."""
        return 1

    def __jax_array__(self) -> Any:
        raise TypeError(
            "`y` must not be computed with: it holds sums over rows that came in batches. "
            "Transform the column of the response in the batches."
        )

    def likelihood(self, family: AbstractFamily | None) -> AbstractLikelihood:
        """The likelihood of all rows; another family is refused."""
        if family is not None:
            raise TypeError(
                "`family` must be left out where y came in batches: it is given to from_batches, "
                f"here {type(self.family).__name__}; got {type(family).__name__}."
            )
        if isinstance(self.family, Gaussian):
            return GaussianLikelihood(self.sums, self.family)
        return NewtonLikelihood(self.parts, self.family, self.first, self.sums)


class StreamedParts:
    """The rows of batches, some of them at a time.

    Args:
        predictor: the terms, at any rows.
        batches: the data.
        response: the column of the responses.
        family: a family, or a function that makes one of a batch.
    """

    def __init__(
        self,
        predictor: Any,
        batches: Batches,
        response: str,
        family: AbstractFamily | Callable[[Any], AbstractFamily],
    ):
        self.predictor, self.batches = predictor, batches
        self.response, self.family = response, family

    def __iter__(self) -> Iterator[Part]:
        for number, batch in enumerate(self.batches):
            yield from self.of(batch, number)

    def of(self, batch: Any, number: int) -> Iterator[Part]:
        """The parts of one batch.

        Args:
            batch: the data.
            number: of the batch, for messages.
        """
        for piece in pieces(batch):
            try:
                yield self._read(piece)
            except (TypeError, ValueError) as error:
                raise type(error)(f"In batch {number}: {error}") from error

    def _read(self, piece: Any) -> Part:
        rows = rows_at(self.predictor, piece, points=False)
        family = self.family(piece) if callable(self.family) else self.family
        family = checked_family(family)
        (y,) = columns_of(piece, [self.response]).values()
        return Part(rows, family, family.check(y, rows.num_observations))


def streamed(
    predictor: Any,
    batches: Batches,
    response: str,
    family: AbstractFamily | Callable[[Any], AbstractFamily] | None,
    *,
    file: Any = None,
    progress_bar: bool = True,
) -> tuple[StreamedRows, StreamedResponse]:
    """Sums over all batches, in one pass; see `AdditivePredictor.from_batches`.

    Args:
        predictor: the terms, at rows of which they are made.
        batches: the data, response included.
        response: the column of the responses.
        family: of the responses.
        file: where sums are kept.
        progress_bar: whether to show how many rows are done.
    """
    parts = StreamedParts(predictor, batches, response, Gaussian() if family is None else family)
    first = next(parts.of(batches.head(), 0))
    if not isinstance(first.family, Gaussian) and not batches.repeatable:
        raise TypeError(
            "`batches` must be a list, or a function that returns an iterable, for "
            f"{type(first.family).__name__} responses, as each iteration of a fit visits them; got "
            "an iterator, which is over after one pass."
        )
    gathering = Gathering(predictor, first, file)
    if not gathering.complete:
        gathering.visit(parts, progress_bar)
    sums = gathering.sums.total()
    rows = StreamedRows(predictor.rows.template, sums.gram, sums.log_weights, sums.num)
    return rows, StreamedResponse(sums, first.family, first.y, parts)


class Gathering:
    """The sums of one pass, and the file in which they are kept.

    Args:
        predictor: the terms.
        first: some of the first rows, by which another file is told from this.
        file: where to keep the sums, or None.
    """

    def __init__(self, predictor: Any, first: Part, file: Any):
        self.effects, self.beyond = predictor.effects, np.zeros(len(predictor.effects))
        self.file = None if file is None else Path(file)
        self.free = start_of(first)
        y, weights = working(first, self.free)
        ones = np.ones(y.size) if weights is None else weights
        about = least_squares(first.rows.sparse, y, ones, predictor.num_fixed).about
        self.complete = False
        kept = None if self.file is None or not self.file.exists() else _read(self.file)
        self.sums = RowSums(about) if kept is None else RowSums.of_state(kept)
        own = RowSums(self.sums.about)
        own.add(first.rows.sparse, y, weights)
        self.first = {name: own.sums[name] for name in ("gram", "pull", "square")}
        if kept is not None:
            self._check(kept)
            self.beyond, self.complete = kept["beyond"], bool(kept["complete"])

    def visit(self, parts: StreamedParts, progress_bar: bool) -> None:
        """Add up the batches that are not yet in the sums."""
        saved = time.monotonic()
        bar: Any = tqdm(unit=" rows", unit_scale=True, disable=not progress_bar)
        with bar:
            bar.update(self.sums.num)
            for number, batch in enumerate(parts.batches):
                if number < self.sums.num_batches:
                    continue
                for part in parts.of(batch, number):
                    y, weights = working(part, self.free)
                    self.sums.add(part.rows.sparse, y, weights)
                    self.beyond += _num_beyond(self.effects, part.rows.inputs)
                    bar.update(y.size)
                self.sums.num_batches = number + 1
                if time.monotonic() - saved > _SAVED_EVERY:
                    self._save()
                    saved = time.monotonic()
        self.complete = True
        self._save()
        self._warn()

    def _save(self) -> None:
        if self.file is None:
            return
        own: dict[str, Any] = {f"first_{name}": value for name, value in self.first.items()}
        own |= {"format": np.asarray(_FORMAT), "complete": np.asarray(self.complete)}
        own |= {"beyond": self.beyond} | self.sums.state()
        with replacing(self.file) as place, place.open("wb") as target:
            np.savez(target, **own)

    def _check(self, kept: dict[str, np.ndarray]) -> None:
        """Refuse the sums of other rows, or of other terms."""
        same = all(
            kept[f"first_{name}"].shape == np.shape(value)
            and np.allclose(
                kept[f"first_{name}"], value, rtol=1e-6, atol=1e-9 * np.abs(value).max()
            )
            for name, value in self.first.items()
        )
        if not same:
            raise ValueError(
                f"`file` must be of the same terms and batches; {self.file} has the sums of "
                "others. Delete it, or name another one."
            )

    def _warn(self) -> None:
        """Say where many rows lie beyond the knots, which are from the first rows only."""
        shares = self.beyond / self.sums.num
        far = {e.name: float(s) for e, s in zip(self.effects, shares, strict=True) if s > _BEYOND}
        if far:
            listed = ", ".join(f"{name} {share:.1%}" for name, share in far.items())
            warnings.warn(
                f"Rows lie beyond the knots of effects, where these extrapolate: {listed}. Knots "
                "that are not given are from the first rows: pass `sample`, rows from all over, "
                "or effects with knots of your own.",
                stacklevel=5,
            )


def _num_beyond(effects: tuple[Any, ...], inputs: Any) -> np.ndarray:
    """How many rows lie beyond the domain, for each effect."""
    result = np.zeros(len(effects))
    for j, (effect, own) in enumerate(zip(effects, inputs, strict=True)):
        outside = np.zeros(len(own[0]), bool)
        for axis, x in zip(axes_of(effect), own, strict=True):
            if x.dtype.kind == "f" and not getattr(axis, "periodic", False):
                lower, upper = axis.domain
                outside |= (x < float(lower)) | (x > float(upper))
        result[j] = outside.sum()
    return result


def _read(file: Path) -> dict[str, np.ndarray]:
    """What a file of sums holds."""
    try:
        with file.open("rb") as source, np.load(source, allow_pickle=False) as state:
            kept = {name: state[name] for name in state.files}
        if int(kept["format"]) != _FORMAT:
            raise KeyError("format")
        RowSums.of_state(kept)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise ValueError(
            f"`file` must be one that from_batches has written; {file} is damaged, or something "
            "else. Delete it, or name another one."
        ) from None
    return kept
