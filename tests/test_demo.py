"""The demo as a user meets it: both happy paths, and one clear line for whatever is wrong."""

import arviz as az
import numpy as np
import numpyro
import pandas as pd
import pytest

from numpyro_splines import demo
from numpyro_splines.__main__ import main

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


def test_a_file_of_ones_own_and_the_same_seed_gives_the_same_draws(csv, tmp_path, capsys):
    """The standard deviation as a column that is 0.2 throughout, and as the number: one model."""
    results = []
    for input_sd in ("sd", "0.2"):
        assert main(own(csv, tmp_path / input_sd, input_sd=input_sd, seed=3)) == 0
        results.append(check_outputs(tmp_path / input_sd, capsys))
    assert results[0].shape == (2, 20, 40)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "nowhere.csv"}, "file nowhere.csv does not exist"),
        ({"response": None}, "--response must be given too"),
        ({"input": None, "input_sd": None}, "--input and --input-sd must be given too"),
        ({"response": "z"}, "column z is not in the file; it has w, y, sd, name, flat, gap"),
        ({"input": "name"}, "column name must be numeric; got 'a' in row 1"),
        ({"input": "gap"}, "column gap must have no missing or infinite values; got 1, the first"),
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


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--draws", "--warmup", "--chains", "--seed", "--out", "--data", "--input-sd"):
        assert option in printed


def test_geyser_model_prior_draws_stay_in_their_classes():
    problem = demo.geyser_problem()
    seeded = numpyro.handlers.seed(problem.model, rng_seed=0)
    x = np.asarray(numpyro.handlers.trace(seeded).get_trace()["x"]["value"])
    assert x.shape == (298,)
    assert (~problem.known).sum() == 77
    assert np.all((x > 0.5) & (x < 6.0))
