"""Files under faults: a kill leaves the old file; damage and malice give one sentence."""

import json
import os
import re
import signal
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import numpyro_splines as ns
from numpyro_splines import demo
from numpyro_splines import posterior as po
from numpyro_splines.posterior import keeping
from numpyro_splines.writing import replacing

EFFECT = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]))


def saved(folder):
    path = folder / "fit.nc"
    po.save(path, EFFECT, {"f.coefficients": np.arange(50.0).reshape(2, 5, 5)})
    return path


def forged(path, change):
    """The same file with another description, checksums included, as an enemy would write it."""
    draws, description = (
        xr.load_dataset(path, group=group, engine="h5netcdf")
        for group in ("posterior", "numpyro_splines")
    )
    text = change(str(description["effects"].values[()]))
    arrays = [description[f"array_{i}"].values for i in range(len(description) - 1)]
    description["effects"] = ((), text)
    description.attrs["digest"] = keeping._digest(text, arrays, draws)
    draws.to_netcdf(path, group="posterior", engine="h5netcdf")
    description.to_netcdf(path, group="numpyro_splines", mode="a", engine="h5netcdf")
    return path


KILLED = """
import os, signal, sys
import numpy as np, xarray as xr
import numpyro_splines as ns
write = xr.Dataset.to_netcdf

def writes_and_dies(self, path, *, group, **options):
    write(self, path, group=group, **options)
    if group == "posterior":  # half of the file
        os.kill(os.getpid(), signal.SIGKILL)

xr.Dataset.to_netcdf = writes_and_dies
f = ns.SplineEffect("g", ns.BSplineBasis([0.0, 0.5, 1.0]))
ns.posterior.save(sys.argv[1], f, {"g.coefficients": np.zeros((2, 5, 5))})
"""


def test_a_kill_leaves_the_file_that_was_there(tmp_path):
    path = saved(tmp_path)
    before = path.read_bytes()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    (part,) = tmp_path.glob("fit.nc.*.part")  # it was being written
    assert path.read_bytes() == before
    assert list(po.load(path).effects) == ["f"]
    assert saved(tmp_path) == path
    assert not part.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_of_a_process_that_runs_is_left_alone(tmp_path):
    path = tmp_path / "a.txt"
    mine = [tmp_path / f"a.txt.{number}.part" for number in (os.getppid(), "notes")]
    for part in (*mine, tmp_path / "a.txt.99999999999999.part"):
        part.touch()
    with replacing(path) as part:
        part.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *mine])


def test_an_exception_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as part:
            part.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "old")]


class Failing:
    """Stands for draws, table and picture in turn; writes some bytes and fails in the last."""

    posterior = None
    get_samples = staticmethod(lambda **options: {})

    def to_netcdf(self, path):
        with open(path, "w") as file:
            file.write("draws")

    def savefig(self, path, **options):
        path.write_bytes(b"\x89PNG")
        raise OSError("disk full")


def test_the_demo_leaves_no_half_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.az, "from_numpyro", lambda *a, **k: Failing())
    monkeypatch.setattr(demo.az, "summary", lambda *a, **k: pd.DataFrame({"mean": [1.0]}))
    monkeypatch.setattr(demo, "_picture", lambda *a: Failing())
    with pytest.raises(OSError, match="disk full"):
        demo.save(demo.geyser_problem(), Failing(), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["draws.nc", "summary.csv"]


def test_every_flipped_bit_is_noticed(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(whole) - 100, size=400):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"`path` must not be damaged; .*fit\.nc are not"):
            po.load(path)


@pytest.mark.parametrize("lost", [1, 30, 70, 100, 2000])
def test_a_file_without_its_end_is_refused_or_whole(lost, tmp_path):
    """Of the checksum itself nothing else hangs: the contents have one of their own."""
    path = saved(tmp_path)
    draws = po.load(path).draws
    path.write_bytes(path.read_bytes()[:-lost])
    if lost == 70:  # not even the name of the checksum is left
        assert po.load(path).draws.identical(draws)
        return
    with pytest.raises(ValueError, match=r"`path` must .*fit\.nc"):
        po.load(path)


def test_flipped_bits_of_a_file_without_a_seal(tmp_path):
    """Nothing but ValueError, and never other numbers."""
    path = saved(tmp_path)
    whole = path.read_bytes().partition(b"\nnumpyro_splines sha256 ")[0]
    path.write_bytes(whole)
    numbers = po.load(path).draws["f.coefficients"].values
    rng = np.random.default_rng(0)
    refused = []
    for place in rng.integers(len(whole), size=40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            kept = po.load(path)
        except ValueError as error:
            refused.append(str(error))
        else:
            np.testing.assert_array_equal(kept.draws["f.coefficients"].values, numbers)
    assert len(refused) > 15
    assert [text for text in refused if not re.match(r"`path` must .*fit\.nc", text)] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "[" * 100_000, "recursion"),
        (lambda text: "[" + '{"tuple": [' * 5_000 + "]}" * 5_000 + "]", "recursion"),
        (lambda text: f"[{'9' * 5000}]", "digits"),
        (lambda text: "[", "Expecting value"),
        (lambda text: "5", "not iterable"),
        (lambda text: "[5]", "int is no effect"),
        (lambda text: '[{"array": -1}]', "{'array': -1} describes nothing"),
        (lambda text: '[{"array": 1000000000}]', "describes nothing"),
        (lambda text: '[{"empty": [1000000, 1000000], "dtype": "float64"}]', "describes nothing"),
        (lambda text: '[{"empty": [-1, 0], "dtype": "float64"}]', "negative dimensions"),
        (lambda text: '[{"empty": [0], "dtype": "nothing"}]', "data type 'nothing' not under"),
        (lambda text: '[{"kind": "subprocess.Popen", "fields": {"args": "ls"}}]', "Popen is unkn"),
        (lambda text: '[{"kind": "numpyro.distributions.gof.x", "fields": {}}]', "gof.x is unkn"),
        (lambda text: text.replace('"name": "f"', '"name": 1'), "SplineEffect.name must not be"),
        (
            lambda text: text.replace('"degree": 3', '"degree": "three"'),
            r"BSplineBasis\.degree must not be of type str",
        ),
        (
            lambda text: json.dumps(
                [
                    {
                        **(item := json.loads(text)[0]),
                        "fields": {**item["fields"], "basis": item["fields"]["prior"]},
                    }
                ]
            ),
            r"SplineEffect\.basis must not be of type SmoothnessPrior",
        ),
    ],
)
def test_a_malicious_description_is_refused(change, message, tmp_path):
    path = forged(saved(tmp_path), change)
    with pytest.raises(ValueError, match=rf"the effects in .*fit\.nc cannot be made: .*{message}"):
        po.load(path)
    assert "gof" not in " ".join(name for name in sys.modules if name.startswith("numpyro."))


def huge(file):
    file["posterior"].create_dataset("huge", (10**6, 10**6), "f8", chunks=(100, 100))


def outside(file):
    file["posterior"].create_dataset("passwords", (10,), "u1", external=[("/etc/passwd", 0, 10)])


def linked(file):
    file["posterior"]["other"] = h5py.ExternalLink("other.nc", "/posterior")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (huge, "its arrays would take 8000000[0-9]* bytes, more than the file can hold"),
        (outside, "posterior/passwords is kept in another file"),
        (linked, "posterior/other is a link to elsewhere"),
    ],
)
def test_arrays_that_are_not_in_the_file_are_refused(change, message, tmp_path):
    path = saved(tmp_path)
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(
        ValueError, match=rf"file written by save\(\); .*fit\.nc is not, .*{message}"
    ):
        po.load(path)
