"""The demo: NUTS over random inputs that feed a spline, on real data or on a file of your own."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from numpyro_splines import demo

_MIN_ROWS = 10


class InputError(Exception):
    """Something in the options or the file that the user can mend."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Args:
        arguments: command-line options; those of the process if omitted.

    Returns:
        Exit code: 0, or 2 after one line on stderr about bad input (nothing is written then).
    """
    try:
        options = _parser().parse_args(arguments)
        problem = _problem(options)
    except InputError as error:
        print(f"numpyro_splines: error: {error}", file=sys.stderr)
        return 2
    print(problem.lead)
    print(
        f"Sampling with NUTS: {options.chains} chains of {options.warmup} warmup iterations and "
        f"{options.draws} draws; latent inputs: {(~problem.known).sum()}."
    )
    start = time.perf_counter()
    mcmc = demo.fit(
        problem,
        draws=options.draws,
        warmup=options.warmup,
        chains=options.chains,
        seed=options.seed,
    )
    seconds = time.perf_counter() - start
    summary, outside = demo.save(problem, mcmc, options.out)
    statistics = mcmc.get_extra_fields()
    print(summary.to_string())
    print(f"\nTime, compilation included: {seconds:.1f} s")
    print(f"Leapfrog steps per draw: {float(np.mean(statistics['num_steps'])):.1f}")
    print(f"Divergent transitions: {int(np.sum(statistics['diverging']))}")
    print(f"Draws of latent inputs outside the knot range: {100 * outside:.2f} %")
    for name in ("curve.png", "summary.csv", "draws.nc"):
        print(f"Wrote {options.out / name}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m numpyro_splines",
        description="Sample a spline whose inputs are random. Without --data: Old Faithful, the "
        "waiting time (min) to the next eruption given the duration (min) of this one, where "
        "durations at night were noted only as short, medium or long. With --data: your own "
        "response as a smooth function of an input measured with Gaussian error.",
    )
    count = parser.add_argument_group("sampling")
    for name, default, text in (
        ("--draws", 1000, "draws kept per chain"),
        ("--warmup", 1000, "warmup iterations per chain"),
        ("--chains", 4, "chains, run side by side"),
    ):
        count.add_argument(
            name, type=_positive, default=default, metavar="N", help=f"{text} (default {default})"
        )
    count.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the random numbers (default 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("numpyro_splines_demo"),
        metavar="DIR",
        help="folder for curve.png, summary.csv and draws.nc (default numpyro_splines_demo/)",
    )
    own = parser.add_argument_group("your own data (all four together)")
    own.add_argument("--data", type=Path, metavar="FILE.csv", help="a CSV file with a header line")
    own.add_argument("--response", metavar="COL", help="column of the response")
    own.add_argument("--input", metavar="COL", help="column of the input as measured")
    own.add_argument(
        "--input-sd",
        metavar="COL_OR_NUMBER",
        help="standard deviation of the input's error, in its units: a column or one number",
    )
    return parser


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1; got {text}")
    return value


def _problem(options: argparse.Namespace) -> demo.Problem:
    names = ("--data", "--response", "--input", "--input-sd")
    values = (options.data, options.response, options.input, options.input_sd)
    if all(value is None for value in values):
        problem = demo.geyser_problem()
    else:
        missing = [name for name, value in zip(names, values, strict=True) if value is None]
        if missing:
            raise InputError(
                f"{' and '.join(missing)} must be given too: {', '.join(names)} go together"
            )
        frame = _read(options.data)
        response, observed = _column(frame, options.response), _column(frame, options.input)
        input_sd = _input_sd(frame, options.input_sd)
        if len(frame) < _MIN_ROWS:
            raise InputError(
                f"{options.data} must have at least {_MIN_ROWS} rows; got {len(frame)}"
            )
        for name, column in ((options.response, response), (options.input, observed)):
            if np.ptp(column) == 0.0:
                raise InputError(f"column {name} must vary; all its values are {column[0]:g}")
        problem = demo.measurement_error_problem(
            response, observed, input_sd, (options.input, options.response)
        )
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out must be a folder; {options.out} is a file")
    return problem


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"file {path} does not exist") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            f"file {path} is not a readable CSV file: {error}".splitlines()[0]
        ) from None


def _column(frame: pd.DataFrame, name: str) -> np.ndarray:
    if name not in frame:
        raise InputError(f"column {name} is not in the file; it has {', '.join(map(str, frame))}")
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        numbers = pd.Series(pd.to_numeric(column, errors="coerce"))
        text = np.flatnonzero(numbers.isna())
        got = f"; got {column.iloc[text[0]]!r} in row {text[0] + 1}" if text.size else ""
        raise InputError(f"column {name} must be numeric{got}")
    values = column.to_numpy(dtype=float)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(
            f"column {name} must have no missing or infinite values; got {bad.size}, the first in "
            f"row {bad[0] + 1}"
        )
    return values


def _input_sd(frame: pd.DataFrame, text: str) -> np.ndarray:
    try:
        values = np.full(len(frame), float(text))
    except ValueError:
        values = _column(frame, text)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
    if bad.size:
        raise InputError(f"--input-sd must be positive; got {values[bad[0]]:g} in row {bad[0] + 1}")
    return values


if __name__ == "__main__":
    sys.exit(main())
