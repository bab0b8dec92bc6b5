"""The demo as a user meets it: both happy paths, and one clear line for whatever is wrong."""

import arviz as az
import numpy as np
import numpyro
import pandas as pd
import pytest

from numpyro_splines import demo
from numpyro_splines.__main__ import _parser, _problem, main
from numpyro_splines.reading import InputError

SHORT = ["--draws", "20", "--warmup", "20", "--chains", "2"]


def frame(n=40):
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 5.0, n)
    return pd.DataFrame(
        {
            "w": x + 0.2 * rng.normal(size=n),
            "y": np.sin(x) + 0.1 * rng.normal(size=n),
            "sd": 0.2,
            "name": "a",
            "flat": 1.0,
            "gap": [np.nan] + [1.0] * (n - 1),
            "gaps": [np.nan if i in (3, 7) else i for i in range(n)],
            "huge": [np.inf if i == 1 else i for i in range(n)],
            "7": 1.0,
        }
    )


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "own.csv"
    frame().to_csv(path, index=False)
    return path


def own(csv, out, **changes):
    options = {"--data": csv, "--response": "y", "--input": "w", "--input-sd": "sd", "--out": out}
    options.update({f"--{name.replace('_', '-')}": value for name, value in changes.items()})
    given = [(name, str(value)) for name, value in options.items() if value is not None]
    return [text for pair in given for text in pair] + SHORT


def check_outputs(out, capsys):
    printed = capsys.readouterr().out
    for text in ("r_hat", "Divergent transitions", "outside the knot range", "curve.png"):
        assert text in printed
    assert (out / "curve.png").stat().st_size > 10_000
    assert "f.scale" in (out / "summary.csv").read_text()
    draws = az.from_netcdf(str(out / "draws.nc"))
    assert draws["posterior"]["f.coefficients"].shape[:2] == (2, 20)
    return draws["posterior"]["x"].to_numpy()


def test_old_faithful(tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*SHORT, "--out", str(out), "--seed", "1"]) == 0
    x = check_outputs(out, capsys)
    assert x.shape == (2, 20, 298)
    assert np.all((x > 0.5) & (x < 6.0))
    assert ((x == x[0, 0]).all((0, 1))).sum() == 298 - 77


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "nowhere.csv"}, "file nowhere.csv does not exist"),
        ({"response": None}, "--response must be given too"),
        ({"input": None, "input_sd": None}, "--input and --input-sd must be given too"),
        (
            {"response": "z"},
            "column z is not in the file; it has w, y, sd, name, flat, gap, gaps, huge, 7\n",
        ),
        ({"input": "name"}, "column name must be numeric; got 'a' in row 1"),
        ({"input": "gap"}, "column gap must have no missing or infinite values; got 1, the first"),
        ({"input": "gap"}, "in row 1. Option --drop-missing leaves out such rows"),
        (
            {"input": "gap", "response": "gaps"},
            "column gaps must have no missing or infinite values; got 2, the first in row 4; "
            "column gap must have no missing or infinite values; got 1",
        ),
        (
            {"input": "huge"},
            "column huge must have no missing or infinite values; got 1, the first in row 2\n",
        ),
        (
            {"input": "y"},
            "--response, --input and --input-sd must be different columns; got y, y, sd",
        ),
        ({"input_sd": " w "}, "must be different columns; got y, w, w"),
        ({"input_sd": "7"}, "--input-sd 7 is a number, and a column of the file too: rename"),
        (
            {"separator": ";"},
            "column y is not in the file; it has w,y,sd,name,flat,gap,gaps,huge,7. "
            "Is the separator another, --separator ','?",
        ),
        (
            {"separator": "::"},
            "argument --separator: must be one character, tab or space; got '::'",
        ),
        (
            {"decimal": ","},
            "--separator and --decimal must differ; both are ','. Files with decimal",
        ),
        ({"decimal": ",", "separator": ";"}, "Is the separator another, --separator ','?"),
        ({"input": "flat"}, "column flat must vary; all its values are 1"),
        ({"input_sd": "-0.1"}, "--input-sd must be positive; got -0.1 in row 1"),
        ({"input_sd": "error"}, "column error is not in the file"),
        ({"draws": "0"}, "argument --draws: must be a whole number of at least 1; got 0"),
        ({"seed": "x"}, "argument --seed: invalid int value: 'x'"),
    ],
)
def test_one_clear_line_for_what_is_wrong(csv, tmp_path, capsys, changes, message):
    out = tmp_path / "out"
    # SHORT comes last and would win over a bad number of draws.
    arguments = own(csv, out, **changes)[: -len(SHORT)]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not out.exists()


def test_too_few_rows_and_files_that_are_no_tables(tmp_path, capsys):
    few, text = tmp_path / "few.csv", tmp_path / "empty.csv"
    frame(5).to_csv(few, index=False)
    text.write_text("")
    assert main(own(few, tmp_path / "out")) == 2
    assert "must have at least 10 rows; got 5" in capsys.readouterr().err
    assert main(own(text, tmp_path / "out")) == 2
    assert "is not a readable CSV file" in capsys.readouterr().err
    assert main(["--out", str(few)]) == 2
    assert "--out must be a folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


X = np.linspace(0.0, 10.0, 40)
Y = np.sin(X)


def lines(cells, header="x{0}y", separator=",", end=""):
    rows = [separator.join(row) + end for row in cells]
    return "\n".join([header.format(separator), *rows]) + "\n"


def numbers(form="{:.4f}", **options):
    return lines([[form.format(a), form.format(b)] for a, b in zip(X, Y, strict=True)], **options)


def problem_of(path, text, *more, encoding="utf-8", response="y", observed="x", input_sd="0.2"):
    path.write_bytes(text.encode(encoding))
    options = ["--data", str(path), "--response", response, "--input", observed]
    return _problem(_parser().parse_args([*options, "--input-sd", input_sd, *more]))


FILES = {
    "plain": (numbers(), []),
    "delimiter_at_the_end_of_each_row": (numbers(end=","), []),
    "delimiters_and_blanks_at_the_ends": (numbers(end=" , ,"), []),
    "delimiter_at_the_end_of_the_header_too": (numbers(end=",", header="x{0}y{0}"), []),
    "delimiter_at_the_end_of_the_header_only": (numbers(header="x{0}y{0}"), []),
    "blanks_around_names_and_numbers": (numbers(" {:.4f}  ", header="  x {0} y "), []),
    "quotes_and_blanks": (numbers('"{:.4f}" ', header='"x" {0} "y"'), []),
    "blank_lines": (numbers().replace("\n", "\n\n"), []),
    "semicolons": (numbers(separator=";"), ["--separator", ";"]),
    "tabs": (numbers(separator="\t"), ["--separator", "tab"]),
    "tabs_typed": (numbers(separator="\t"), ["--separator", "\\t"]),
    "white_space": (numbers("{:>12.4f}", separator="  "), ["--separator", "space"]),
    "bars": (numbers(separator="|", end="|"), ["--separator", "|"]),
    "decimal_commas": (
        numbers(separator=";", end=";").replace(".", ","),
        ["--separator", ";", "--decimal", ","],
    ),
    "byte_order_mark": ("\ufeff" + numbers(), []),
    "other_ends_of_lines": (numbers().replace("\n", "\r\n"), []),
    "other_columns": (
        lines(
            [[f"{b:.4f}", "a", "", f"{a:.4f}"] for a, b in zip(X, Y, strict=True)],
            header="y{0}name{0}name{0}x",
        ),
        [],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_are_read_right(case, tmp_path):
    text, options = FILES[case]
    problem = problem_of(tmp_path / "own.csv", text, *options)
    np.testing.assert_allclose(problem.response, Y, atol=6e-5)
    np.testing.assert_allclose(problem.slope_at, np.quantile(X, [0.25, 0.5, 0.75]), atol=6e-5)


def test_numbers_in_options_have_either_mark(tmp_path):
    text = numbers(separator=";").replace(".", ",")
    for input_sd in ("0.2", "0,2"):
        options = ("--separator", ";", "--decimal", ",")
        problem_of(tmp_path / "own.csv", text, *options, input_sd=input_sd)


def test_rows_are_dropped_only_by_the_option_and_counted(tmp_path):
    cells = [[f"{a:.4f}", f"{b:.4f}", "0.2", ""] for a, b in zip(X, Y, strict=True)]
    for row, (column, text) in enumerate([(0, "NA"), (1, ""), (2, "nan"), (1, "NULL"), (0, "N/A")]):
        cells[2 * row][column] = text
    cells[5].pop()  # a short row
    text = lines(cells, header="x{0}y{0}sd{0}gap")
    with pytest.raises(InputError, match=r"column y must .*; got 2, .* row 3; column x .*; got 2"):
        problem_of(tmp_path / "own.csv", text)
    problem = problem_of(tmp_path / "own.csv", text, "--drop-missing", input_sd="sd")
    kept = np.delete(np.arange(40), [0, 2, 4, 6, 8])
    np.testing.assert_allclose(problem.response, Y[kept], atol=6e-5)
    assert problem.lead.endswith("\nRows dropped for missing values: 5 of 40.")
    with pytest.raises(InputError, match="got 0, after 40 with missing values were dropped"):
        problem_of(tmp_path / "own.csv", text, "--drop-missing", input_sd="gap")
    cells[11][2] = "-1"
    text = lines(cells, header="x{0}y{0}sd{0}gap")
    with pytest.raises(InputError, match="--input-sd must be positive; got -1 in row 12"):
        problem_of(tmp_path / "own.csv", text, "--drop-missing", input_sd="sd")


BAD_FILES = {
    "two_columns_of_a_name": (
        numbers(header="x{0}y{0} y"),
        [],
        "column y must stand once in the header; got it as columns 2 and 3",
    ),
    "header_only": ("x,y\n", [], "must have at least 10 rows; got 0"),
    "no_header": (numbers(header="0.5{0}1.5"), [], "The first line must hold the names"),
    "blank_file": (" \n\n", [], "is not a readable CSV file: it has no header line"),
    "more_entries_than_names": (
        numbers(end=",7"),
        [],
        "an entry for each of the 2 names in the header; got 3 in row 1",
    ),
    "decimal_commas_between_commas": (
        numbers().replace(".", ","),
        [],
        r"got 4 in row 1.*--separator ';' --decimal ','",
    ),
    "semicolons": (numbers(separator=";"), [], r"it has x;y\. Is the separator .* ';'\?"),
    "tabs": (numbers(separator="\t"), [], r"--separator tab\?"),
    "blanks": (numbers(separator="  "), [], r"--separator space\?"),
    "semicolons_and_decimal_commas": (
        numbers(separator=";").replace(".", ","),
        ["--separator", ";"],
        r"column y must be numeric; got '0,0000' in row 1\. Is the decimal mark .* ','\?",
    ),
    "points_and_decimal_commas": (
        numbers(separator=";"),
        ["--separator", ";", "--decimal", ","],
        r"column y must be numeric; got '0\.0000' in row 1\. Is the decimal mark .* '\.'\?",
    ),
    "grouped_digits": (numbers("1_0{:.4f}"), [], "column y must be numeric; got '1_00.0000'"),
    "quote_without_end": (numbers() + '"1,2\n', [], "is not a readable CSV file: unexpected end"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_files_that_are_refused(case, tmp_path):
    text, options, message = BAD_FILES[case]
    with pytest.raises(InputError, match=message):
        problem_of(tmp_path / "own.csv", text, *options)


def test_files_in_another_encoding_are_refused(tmp_path):
    for encoding in ("utf-16", "latin-1"):
        with pytest.raises(InputError, match="it is not in UTF-8; save it as that"):
            problem_of(
                tmp_path / "own.csv", numbers(header="x{0}y{0}gr\u00f6\u00dfe"), encoding=encoding
            )


def test_options_for_files_need_a_file():
    for more in (["--drop-missing"], ["--separator", ";"], ["--decimal", ","]):
        with pytest.raises(InputError, match="--drop-missing need --data"):
            _problem(_parser().parse_args(more))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([2.0, 3.0, 4.0], ["2", "3", "4"]),
        ([2000.75, 2001.5, 2002.25], ["2000.8", "2001.5", "2002.2"]),
        ([1.0, 1.0 + 2**-50], ["1", "1.000000000000001"]),
        ([2460000.5, 2460001.5], ["2460000", "2460002"]),
        ([-1e-9, 0.0, 1e12], ["-1e-09", "0", "1e+12"]),
        ([5.0], ["5"]),
    ],
)
def test_labels_are_distinct(values, labels):
    assert demo.number_labels(np.array(values)) == labels


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """A file and draws for years, whose first digits are the same."""
    cells = [[f"{2000 + 0.3 * a:.3f}", f"{b:.4f}", "0.05"] for a, b in zip(X, Y, strict=True)]
    path = tmp_path_factory.mktemp("years") / "own.csv"
    text = lines(cells, header="year{0}y{0}sd")
    problem = problem_of(path, text, observed="year", input_sd="0.05")
    return path, problem, demo.fit(problem, draws=20, warmup=20, chains=2, seed=3)


def test_a_file_of_ones_own_and_the_same_seed_gives_the_same_draws(years, tmp_path, capsys):
    """The standard deviation as a column that is 0.05 throughout, and as the number: one model."""
    path, _, mcmc = years
    arguments = own(path, tmp_path / "out", input="year", seed=3)
    assert main(arguments) == 0
    draws = check_outputs(tmp_path / "out", capsys)
    assert draws.shape == (2, 20, 40)
    np.testing.assert_array_equal(draws, mcmc.get_samples(group_by_chain=True)["x"])


@pytest.mark.parametrize("names", [("year", "y"), ("draw", r"$\frac$ value"), ("value", "chain")])
def test_years_and_any_names_of_columns(names, years, tmp_path):
    _, problem, mcmc = years
    named = problem._replace(labels=(*names, f"slope ({names[1]} per {names[0]})"))
    summary, _ = demo.save(named, mcmc, tmp_path)
    assert [name for name in summary.index if name.startswith("slope")] == [
        f"slope[{label}]" for label in ("2000.7", "2001.5", "2002.3")
    ]
    assert (tmp_path / "curve.png").stat().st_size > 10_000


@pytest.mark.parametrize("failing", ["summary", "_picture"])
def test_draws_are_kept_whatever_fails_after_them(failing, years, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr(*((demo.az, "summary") if failing == "summary" else (demo, failing)), fail)
    with pytest.raises(RuntimeError, match="no"):
        demo.save(*years[1:], tmp_path)
    kept = az.from_netcdf(str(tmp_path / "draws.nc"))
    assert kept["posterior"]["x"].shape == (2, 20, 40)
    assert (tmp_path / "summary.csv").exists() == (failing == "_picture")


def test_of_tied_inputs_there_are_fewer_slopes(tmp_path):
    cells = [[f"{max(a, 8.0):.4f}", f"{b:.4f}"] for a, b in zip(X, Y, strict=True)]
    np.testing.assert_array_equal(problem_of(tmp_path / "own.csv", lines(cells)).slope_at, [8.0])


def test_a_folder_that_cannot_be_made_is_told_before_the_sampling(csv, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(own(csv, tmp_path / "file" / "out")) == 2
    assert "--out must be a folder that can be made" in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for option in (
        "--draws",
        "--warmup",
        "--chains",
        "--seed",
        "--out",
        "--data",
        "--input-sd",
        "--separator",
        "--decimal",
        "--drop-missing",
    ):
        assert option in printed


def test_geyser_model_prior_draws_stay_in_their_classes():
    problem = demo.geyser_problem()
    seeded = numpyro.handlers.seed(problem.model, rng_seed=0)
    x = np.asarray(numpyro.handlers.trace(seeded).get_trace()["x"]["value"])
    assert x.shape == (298,)
    assert (~problem.known).sum() == 77
    assert np.all((x > 0.5) & (x < 6.0))
