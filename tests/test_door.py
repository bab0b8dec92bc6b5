"""What counts as numbers at the door: the right values, or an error that says what to do."""

import datetime
from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from numpyro_splines.validation import real_array

MASKED = np.ma.masked_array([1.0, 2.0], [False, True])
DAYS = np.array(["2020-01-01", "2020-01-02"], "M8[D]")


@pytest.mark.parametrize(
    "value",
    [
        [True, False],
        np.array([True, False]),
        jnp.asarray(np.array([True, False])),
        pd.Series([True, False]),
        pd.Series([True, False], dtype="boolean"),
        pd.Series([1, 0], dtype="Int64"),
        pd.Series([1.0, 0.0], dtype="Float64"),
        np.ma.masked_array([1, 0]),
        [Fraction(1), Decimal(0)],
        np.array([1.0, 0.0], np.longdouble),
        np.array([1.0, 0.0], np.float16),
        np.array([1.0, 0.0], jnp.bfloat16),
    ],
)
def test_numbers_keep_their_values(value):
    array = real_array(value, "x")
    np.testing.assert_array_equal(np.asarray(array, np.float64), [1.0, 0.0])
    assert array.dtype.kind in "if"
    assert array.dtype.itemsize <= 8


@pytest.mark.parametrize(
    "value",
    [
        MASKED,
        [1.0, None],
        pd.Series([1, pd.NA], dtype="Int64"),
        pd.Series([1.0, pd.NA], dtype="Float64"),
        pd.Series([True, pd.NA], dtype="boolean"),
    ],
)
def test_missing_entries_are_refused_or_nan(value):
    with pytest.raises(ValueError, match="`x` must not have missing values; got 1 among 2"):
        real_array(value, "x")
    np.testing.assert_array_equal(real_array(value, "x", missing="nan"), [1.0, np.nan])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "got None"),
        (["a", "b"], "real numbers; got dtype <U1"),
        (pd.Series([1, 2], dtype="category"), "got dtype category"),
        (DAYS, "A date has no unit"),
        (pd.Series(DAYS).dt.tz_localize("UTC"), "A date has no unit"),
        (pd.Series(DAYS).dt.to_period("D"), "A date has no unit"),
        ([datetime.datetime(2020, 1, 1)], "A date has no unit"),
        (np.diff(DAYS), "A duration has no unit"),
        ([datetime.timedelta(1)], "A duration has no unit"),
        ([1j], "real or imaginary part"),
        (scipy.sparse.csr_array(np.eye(2)), r"todense\(\)"),
        (pd.DataFrame({"name": [1.0]}), "got a DataFrame of one column"),
    ],
)
def test_what_is_no_number_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        real_array(value, "x")
