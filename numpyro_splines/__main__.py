"""The demo: NUTS over random inputs that feed a spline, on real data or on a file of your own."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from numpyro_splines import demo
from numpyro_splines.reading import SEPARATORS, InputError, Table, number, read_table

_MIN_ROWS = 10


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
        _make_folder(options.out)
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
    _add_file_options(parser.add_argument_group("your own data (the first four together)"))
    return parser


def _add_file_options(own: Any) -> None:
    own.add_argument("--data", type=Path, metavar="FILE.csv", help="a CSV file with a header line")
    own.add_argument("--response", metavar="COL", help="column of the response")
    own.add_argument("--input", metavar="COL", help="column of the input as measured")
    own.add_argument(
        "--input-sd",
        metavar="COL_OR_NUMBER",
        help="standard deviation of the input's error, in its units: a column or one number",
    )
    own.add_argument(
        "--separator",
        type=_separator,
        default=",",
        metavar="CHAR",
        help="between the columns: one character, or the word tab, or space for any white space "
        "(default ',')",
    )
    own.add_argument(
        "--decimal",
        choices=[".", ","],
        default=".",
        metavar="MARK",
        help="mark in numbers (default '.')",
    )
    own.add_argument(
        "--drop-missing",
        action="store_true",
        help="leave out rows in which one of the columns is missing (empty, NA, NaN, null)",
    )


def _separator(text: str) -> str:
    character = SEPARATORS.get(text, text)
    if len(character) != 1 or character in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one character, tab or space; got {text!r}")
    return character


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
    missing = [name for name, value in zip(names, values, strict=True) if value is None]
    if len(missing) == len(names):
        if (options.separator, options.decimal, options.drop_missing) != (",", ".", False):
            raise InputError("--separator, --decimal and --drop-missing need --data")
        problem = demo.geyser_problem()
    elif missing:
        raise InputError(
            f"{' and '.join(missing)} must be given too: {', '.join(names)} go together"
        )
    else:
        problem = _own_problem(options)
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out must be a folder; {options.out} is a file")
    return problem


def _own_problem(options: argparse.Namespace) -> demo.Problem:
    if options.separator == options.decimal:
        raise InputError(
            f"--separator and --decimal must differ; both are {options.decimal!r}. Files with "
            "decimal commas mostly have --separator ';'"
        )
    table = read_table(options.data, separator=options.separator, decimal=options.decimal)
    response, observed, text = (
        name.strip() for name in (options.response, options.input, options.input_sd)
    )
    input_sd = _number_or_column(table, text)
    names = [response, observed] + ([text] if input_sd is None else [])
    if len(set(names)) < len(names):
        raise InputError(
            f"--response, --input and --input-sd must be different columns; got {', '.join(names)}"
        )
    columns = {name: table.column(name) for name in names}
    kept = _kept_rows(columns, drop=options.drop_missing)
    if kept.sum() < _MIN_ROWS:
        dropped = kept.size - kept.sum()
        left = f", after {dropped} with missing values were dropped" if dropped else ""
        raise InputError(
            f"{options.data} must have at least {_MIN_ROWS} rows; got {kept.sum()}{left}"
        )
    columns = {name: values[kept] for name, values in columns.items()}
    deviations = columns[text] if input_sd is None else np.full(kept.sum(), input_sd)
    _check_values(columns[response], columns[observed], deviations, (response, observed), kept)
    try:
        problem = demo.measurement_error_problem(
            columns[response], columns[observed], deviations, (observed, response)
        )
    except ValueError as error:  # such as inputs that float32 cannot tell apart
        raise InputError(f"column {observed} cannot be the input: {error}") from None
    if options.drop_missing:
        lead = f"{problem.lead}\nRows dropped for missing values: {(~kept).sum()} of {kept.size}."
        problem = problem._replace(lead=lead)
    return problem


def _check_values(
    response: np.ndarray,
    observed: np.ndarray,
    deviations: np.ndarray,
    names: tuple[str, str],
    kept: np.ndarray,
) -> None:
    for name, values in zip(names, (response, observed), strict=True):
        if np.ptp(values) == 0.0:
            raise InputError(f"column {name} must vary; all its values are {values[0]:g}")
    bad = np.flatnonzero(~(deviations > 0.0))
    if bad.size:
        row = np.flatnonzero(kept)[bad[0]] + 1
        raise InputError(f"--input-sd must be positive; got {deviations[bad[0]]:g} in row {row}")


def _number_or_column(table: Table, text: str) -> float | None:
    """The number that an option holds; None for a column."""
    value = number(text, table.decimal)
    if value is not None and table.has(text):
        raise InputError(
            f"--input-sd {text} is a number, and a column of the file too: rename the column"
        )
    return value


def _kept_rows(columns: dict[str, np.ndarray], *, drop: bool) -> np.ndarray:
    """Which rows are complete; missing ones are refused unless they are to be dropped."""
    complaints, droppable = [], True
    for name, values in columns.items():
        bad = np.isinf(values) if drop else ~np.isfinite(values)
        if bad.any():
            droppable &= not np.isinf(values).any()
            complaints.append(
                f"column {name} must have no missing or infinite values; got {bad.sum()}, the "
                f"first in row {np.flatnonzero(bad)[0] + 1}"
            )
    if complaints:
        hint = ". Option --drop-missing leaves out such rows" if droppable else ""
        raise InputError("; ".join(complaints) + hint)
    return ~np.any([np.isnan(values) for values in columns.values()], axis=0)


def _make_folder(path: Path) -> None:
    """Before the sampling: what cannot be kept need not be drawn."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out must be a folder that can be made: {error}") from None
    if not os.access(path, os.W_OK):
        raise InputError(f"--out must be a folder that can be written to; {path} is not")


if __name__ == "__main__":
    sys.exit(main())
