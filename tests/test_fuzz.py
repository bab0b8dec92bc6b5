"""Whatever an argument is, the answer has no NaN nobody asked for, or one error names the argument.

The entries are in `cases/soup.py`, and so is what may stand in place of each argument. The quick
test puts a part of all that is there in place of one argument at a time, the slow ones all of it,
then arrays of any shape, number and kind in place of several at once.
"""

import re
import signal
from contextlib import contextmanager

import jax
import numpy as np
import pytest
import xarray as xr
from cases.soup import COMPILED, ENTRIES, SOUP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

NUMBERS = (float, np.floating, np.ndarray, jax.Array, xr.DataArray)
SECONDS = 20  # for one call, compilation included

# Of these a NaN in the answer is what is asked for, or beyond what floats can hold.
UNBOUNDED = {"nan", "hole", "objects", "masked", "Int64", "decimal"} | {
    "inf", "-inf", "1e308", "large", "ends"
}  # fmt: skip

# A user's own functions and objects may raise what they like.
OWN_CODE = {("constraints.Functional", "function")}

# Padded with NaN to the size that is asked for.
PADDED = {("curve.roots", "size")}

pytestmark = pytest.mark.filterwarnings("ignore")


class TooLong(BaseException):
    """Not an Exception, so that nobody catches it."""


@contextmanager
def limited():
    def ring(*_):
        raise TooLong(f"no answer after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def has_nan(result):
    numbers = [leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, NUMBERS)]
    arrays = [np.asarray(leaf) for leaf in numbers if not is_key(leaf)]
    return any(a.dtype.kind == "f" and np.isnan(a).any() for a in arrays)


def is_key(leaf):
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def names_an_argument(entry, message):
    """One of those given: which of two that do not fit is wrong, nobody can know."""
    words = [rf"`[^`]*\b{name}\b[^`]*`|invalid {name} parameter" for name in entry.arguments]
    return re.search("|".join([*words, *entry.words.values()]), message) is not None


def fault(entry, arguments, *, any_nan):
    """What is wrong with the answer; None if nothing is."""
    try:
        with limited():
            result = entry.call(**{**entry.arguments, **arguments})
    except np.linalg.LinAlgError as error:  # a ValueError that says nothing of arguments
        return repr(error)
    except (ValueError, TypeError, FileNotFoundError, KeyError) as error:
        return None if names_an_argument(entry, str(error)) else repr(error)
    except (Exception, TooLong) as error:
        return repr(error)
    return None if any_nan or not has_nan(result) else "a result with NaN"


def faults(entries, chosen):
    """All faults of the entries, one argument replaced at a time."""
    found = {}
    for name, entry in entries.items():
        unbounded = UNBOUNDED
        if fault(entry, {}, any_nan=False) == "a result with NaN":
            unbounded = SOUP.keys()
        for argument in entry.arguments:
            for i, (kind, make) in enumerate(SOUP.items()):
                place = (name, argument)
                if place not in OWN_CODE and chosen(len(name) + 7 * len(argument) + i):
                    wrong = fault(
                        entry, {argument: make()}, any_nan=kind in unbounded or place in PADDED
                    )
                    if wrong is not None:
                        found[(*place, kind)] = wrong
    return found


@pytest.mark.parametrize("part", range(4))
def test_a_part_of_the_soup(part):
    entries = dict(list(ENTRIES.items())[part::4])
    assert faults(entries, lambda i: i % 6 == 0) == {}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(25))
def test_all_of_the_soup(part):
    assert faults(ENTRIES, lambda i: i % 25 == part) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_all_of_the_soup_compiled(name):
    assert faults({name: COMPILED[name]}, lambda i: True) == {}


ANYTHING = st.one_of(
    st.sampled_from(sorted(SOUP)).map(lambda kind: SOUP[kind]()),
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.bool_, "U2", np.complex128, "M8[s]"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
    ),
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.text(max_size=3),
    st.lists(st.one_of(st.none(), st.floats(), st.text(max_size=2)), max_size=4),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_anything_in_several_places(name):
    entry = ENTRIES[name]
    places = [argument for argument in entry.arguments if (name, argument) not in OWN_CODE]

    @settings(
        max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.dictionaries(st.sampled_from(places), ANYTHING, min_size=1))
    def law(arguments):
        assert fault(entry, arguments, any_nan=True) is None

    if places:
        law()
