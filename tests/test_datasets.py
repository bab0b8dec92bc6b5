"""The data sets are the published ones."""

import numpy as np

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
