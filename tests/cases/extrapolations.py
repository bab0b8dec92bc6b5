"""Extrapolation rules: as one object for both sides, or a pair (left, right)."""

from numpyro_splines import extrapolation as ex

EXTRAPOLATIONS = {
    "linear": ex.Linear(),
    "constant": ex.Constant(),
    "polynomial": ex.Polynomial(),
    "zero": ex.Zero(),
    "nan": ex.NaN(),
    "periodic": ex.Periodic(),
    "pair": (ex.Constant(), ex.Linear()),
}
