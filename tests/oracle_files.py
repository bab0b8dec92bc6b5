"""Reading of the reference values in `oracles/`."""

import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "oracles"


def load(name):
    cases = json.loads((FOLDER / f"{name}.json").read_text())["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases]


def close(values, expected, tolerance=1e-10):
    """Equal relative to the largest entry."""
    expected = np.array(expected, dtype=float)
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance * np.abs(expected).max())
