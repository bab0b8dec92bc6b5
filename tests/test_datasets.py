"""The data sets are the published ones."""

import numpy as np
import pytest

from numpyro_splines import datasets
from numpyro_splines.datasets import load_geyser


def test_geyser():
    geyser = load_geyser()
    assert geyser.shape == (299, 4)
    night = geyser["recorded"] != "timed"
    assert night.sum() == 78
    assert set(geyser.loc[night, "duration"]) == {2.0, 3.0, 4.0}
    np.testing.assert_array_equal(geyser["next_waiting"][:-1], geyser["waiting"][1:])
    assert np.isnan(geyser["next_waiting"].iloc[-1])
    assert geyser["duration"].between(0.8, 5.5).all()


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("mcycle", ["times", "accel"], 133),
        ("nottem", ["year", "month", "temp_f"], 240),
        ("menarche", ["age", "total", "menarche"], 25),
        ("discoveries", ["year", "count"], 100),
        ("airquality", ["ozone", "solar_r", "wind", "temp", "month", "day"], 153),
        ("ethanol", ["nox", "compression", "equivalence"], 88),
        ("oxboys", ["subject", "age", "height", "occasion"], 234),
        (
            "columb",
            ["area", "home_value", "income", "crime", "open_space", "district", "x", "y"],
            49,
        ),
        ("columb_neighbours", ["district", "neighbour"], 236),
    ],
)
def test_columns_and_rows(name, columns, rows):
    data = getattr(datasets, f"load_{name}")()
    assert list(data.columns) == columns
    assert len(data) == rows
    assert all(data[column].dtype.kind in "if" for column in columns)


def test_borders_of_columbus_have_two_sides():
    pairs = set(map(tuple, datasets.load_columb_neighbours().to_numpy()))
    assert len(pairs) == 236
    assert pairs == {(b, a) for a, b in pairs}
    assert {a for a, _ in pairs} == set(datasets.load_columb()["district"])
