"""Small real data sets for the demo, the notebooks and the tests."""

from importlib import resources

import pandas as pd

# Night eruptions were noted in words; the published table codes them with these exact minutes.
_NIGHT_CODES = {2.0: "short", 3.0: "medium", 4.0: "long"}


def load_geyser() -> pd.DataFrame:
    """Old Faithful, Yellowstone, 1 to 15 August 1985: 299 eruptions in a row.

    Columns:

    - `waiting`: minutes from the start of the previous eruption to the start of this one.
    - `duration`: minutes that this eruption lasted. The 78 rows with exactly 2, 3 or 4 minutes are
      codes, not measurements: at night durations were only noted as short, medium or long.
    - `recorded`: how the duration was recorded, a category: "timed", "short", "medium" or "long".
    - `next_waiting`: minutes from the start of this eruption to the start of the next one; NaN in
      the last row.

    Returns:
        A data frame of 299 rows in order of time.

    Example:
        >>> geyser = load_geyser()
        >>> geyser["recorded"].value_counts().to_dict()
        {'timed': 221, 'long': 53, 'short': 23, 'medium': 2}

    References:
        Azzalini and Bowman, A look at some data on the Old Faithful geyser, Applied Statistics 39
        (1990), 357-365. The numbers are those of `geyser` in the R package MASS (GPL-2 | GPL-3).
    """
    with resources.files(__name__).joinpath("geyser.csv").open() as file:
        geyser = pd.read_csv(file)
    recorded = geyser["duration"].map(_NIGHT_CODES.get).fillna("timed")
    categories = ["timed", "short", "medium", "long"]
    return geyser.assign(
        recorded=pd.Categorical(recorded, categories=categories),
        next_waiting=geyser["waiting"].shift(-1),
    )
