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
    geyser = _read("geyser")
    recorded = geyser["duration"].map(_NIGHT_CODES.get).fillna("timed")
    categories = ["timed", "short", "medium", "long"]
    return geyser.assign(
        recorded=pd.Categorical(recorded, categories=categories),
        next_waiting=geyser["waiting"].shift(-1),
    )


def load_mcycle() -> pd.DataFrame:
    """Simulated motorcycle accidents: 133 measurements of the acceleration of a helmet.

    Columns: `times`, milliseconds after impact, with ties; `accel`, in g. The variance changes
    strongly with time.

    Returns:
        A data frame of 133 rows in order of time.

    Example:
        >>> load_mcycle()["accel"].agg(["min", "max"]).to_dict()
        {'min': -134.0, 'max': 75.0}

    References:
        Silverman, Some aspects of the spline smoothing approach to non-parametric regression curve
        fitting, J. R. Statist. Soc. B 47 (1985), 1-52. As `mcycle` in the R package MASS
        (GPL-2 | GPL-3).
    """
    return _read("mcycle")


def load_nottem() -> pd.DataFrame:
    """Mean monthly air temperature at Nottingham Castle, 1920 to 1939: 240 months.

    Columns: `year`; `month`, 1 to 12; `temp_f`, in degrees Fahrenheit.

    Returns:
        A data frame of 240 rows in order of time.

    Example:
        >>> print(round(load_nottem()["temp_f"].mean(), 2))
        49.04

    References:
        Anderson, Time Series Analysis and Forecasting (1976). As `nottem` in R (GPL >= 2).
    """
    return _read("nottem")


def load_menarche() -> pd.DataFrame:
    """Age of 3918 girls in Warsaw, 1965, and whether they had reached menarche, in 25 groups.

    Columns: `age`, mean of the group in years; `total`, number of girls; `menarche`, number who
    had reached it.

    Returns:
        A data frame of 25 rows in order of age.

    Example:
        >>> load_menarche()[["total", "menarche"]].sum().to_dict()
        {'total': 3918, 'menarche': 2308}

    References:
        Milicer and Szczotka, Age at menarche in Warsaw girls in 1965, Human Biology 38 (1966),
        199-203. As `menarche` in the R package MASS (GPL-2 | GPL-3).
    """
    return _read("menarche")


def load_discoveries() -> pd.DataFrame:
    """Numbers of "great" inventions and scientific discoveries in each year, 1860 to 1959.

    Columns: `year`; `count`.

    Returns:
        A data frame of 100 rows in order of time.

    Example:
        >>> print(load_discoveries()["count"].sum())
        310

    References:
        The World Almanac and Book of Facts (1975), 315-318. As `discoveries` in R (GPL >= 2).
    """
    return _read("discoveries")


def load_airquality() -> pd.DataFrame:
    """Daily air quality in New York, May to September 1973: 153 days, 111 of them complete.

    Columns: `ozone`, mean parts per billion from 13 to 15 h; `solar_r`, radiation in langleys from
    8 to 12 h; `wind`, mean miles per hour at 7 and 10 h; `temp`, maximum in degrees Fahrenheit;
    `month`; `day`. Ozone and radiation are NaN where they are missing.

    Returns:
        A data frame of 153 rows in order of time.

    Example:
        >>> len(load_airquality().dropna())
        111

    References:
        Chambers et al., Graphical Methods for Data Analysis (1983). As `airquality` in R
        (GPL >= 2).
    """
    return _read("airquality")


def load_ethanol() -> pd.DataFrame:
    """Exhaust of a one-cylinder engine that burns ethanol: 88 runs.

    Columns: `nox`, nitric oxides in micrograms per joule; `compression`, ratio of the engine, one
    of five values from 7.5 to 18; `equivalence`, how rich the mixture of air and ethanol was, 1
    where the air is just enough.

    Returns:
        A data frame of 88 rows.

    Example:
        >>> load_ethanol()["nox"].agg(["min", "max"]).to_dict()
        {'min': 0.37, 'max': 4.028}

    References:
        Brinkman, Ethanol fuel: a single-cylinder engine study of efficiency and exhaust emissions,
        SAE transactions 90 (1981), 1410-1424. As `ethanol` in the R package lattice (GPL >= 2).
    """
    return _read("ethanol")


def load_oxboys() -> pd.DataFrame:
    """Heights of 26 boys from Oxford on nine occasions each, about a quarter of a year apart.

    Columns: `subject`, a number from 1 to 26; `age`, standardized, without a unit, from -1 to
    1.0055; `height`, in cm; `occasion`, from 1 to 9.

    Returns:
        A data frame of 234 rows in order of subject and age.

    Example:
        >>> load_oxboys().groupby("occasion")["height"].mean().round(1).iloc[[0, -1]].to_dict()
        {1: 143.1, 9: 156.3}

    References:
        Goldstein, Efficient statistical modelling of longitudinal data, Annals of Human Biology 13
        (1986), 129-141. As `Oxboys` in the R package nlme (GPL >= 2).
    """
    return _read("oxboys")


def load_columb() -> pd.DataFrame:
    """Crime in 49 districts of Columbus, Ohio, 1980.

    Columns: `area` of the district; `home_value` and `income`, 1000 US dollars; `crime`, burglaries
    and vehicle thefts per 1000 households; `open_space`; `district`, a number from 0 to 48; `x` and
    `y`, its centroid.

    Returns:
        A data frame of 49 rows in order of district.

    Example:
        >>> print(round(load_columb()["crime"].mean(), 1))
        35.1

    References:
        Anselin, Spatial Econometrics: Methods and Models (1988). As `columb` in the R package mgcv
        (GPL >= 2).
    """
    return _read("columb")


def load_columb_neighbours() -> pd.DataFrame:
    """Which districts of Columbus have a common border, for `GraphMargin`.

    Columns: `district` and `neighbour`, as `district` in `load_columb`; each pair in both
    directions.

    Returns:
        A data frame of 236 rows.

    Example:
        >>> pairs = load_columb_neighbours()
        >>> pairs.loc[pairs["district"] == 0, "neighbour"].tolist()
        [1, 2]

    References:
        As `load_columb`; from the polygons `columb.polys` in mgcv.
    """
    return _read("columb_edges")


def _read(name: str) -> pd.DataFrame:
    with resources.files(__name__).joinpath(f"{name}.csv").open() as file:
        return pd.read_csv(file)
