"""Tensor products that mgcv computed: fits of effects of several inputs, in our coordinates.

mgcv's te is the Karhunen-Loeve construction with a measure of its own on each margin: equal weights
at the knots (cr), or at as many even points as there are functions (its reparametrization of other
bases), or none at all on coefficients (np = FALSE). A penalty lambda S / max(eigenvalue) then is a
variance tau^2 = sigma^2 max(eigenvalue) sum(1 / eigenvalues) / lambda.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from oracle_files import close, load

import numpyro_splines as ns
from numpyro_splines.components import (
    BlockTensor,
    FullTensor,
    Interaction,
    Precision,
)
from numpyro_splines.constraints import ZeroMean
from numpyro_splines.functions import PolynomialAxis
from numpyro_splines.margins import AbstractMargin
from numpyro_splines.spectrum import karhunen_loeve

CASES = {p.id: p.values[0] for p in load("mgcv_tensor")}
FLAT = dist.ImproperUniform(dist.constraints.real, (), ())


class MgcvMargin(AbstractMargin):
    """The functions of a basis under any Gram matrix, or any functions as linear part and modes."""

    basis: ns.AbstractBasis
    functions: np.ndarray
    variances: np.ndarray
    observed: np.ndarray
    size: float = eqx.field(static=True)
    num_constant: int = eqx.field(static=True)
    num_linear: int = eqx.field(static=True)
    rows: None
    num_observations: float = eqx.field(static=True)

    @property
    def discrete(self):
        return False

    @property
    def shape(self):
        return (self.basis.num_coefficients,)

    def axes(self, names):
        return (PolynomialAxis(names[0], *self.basis.pieces()),)

    def design(self, *inputs):
        return self.basis.collocation(inputs[0])


def decomposed(basis, penalty, gram):
    """The margin for a penalty and a Gram matrix; `size` is tau^2 lambda / sigma^2."""
    matrix, null = penalty.matrix(basis), penalty.unpenalized(basis)
    spectrum = karhunen_loeve(gram, matrix, null)
    functions = np.concatenate([spectrum.polynomials, spectrum.modes], axis=1)
    shares = spectrum.standard_deviations**2
    num_constant = basis.null_space(1).shape[1]
    values = np.diag(spectrum.modes.T @ matrix @ spectrum.modes)
    return MgcvMargin(
        basis=basis,
        functions=functions,
        variances=np.concatenate([np.ones(null.shape[1]), shares]),
        observed=gram,
        size=float(values.max() * (1.0 / values).sum()),
        num_constant=num_constant,
        num_linear=null.shape[1] - num_constant,
        rows=None,
        num_observations=0.0,
    )


def margin(own, x, constrained, reparametrized):
    """The margin that mgcv made of a basis."""
    knots = np.array(own["knots"])
    cr = own["class"] == "cr.smooth"
    if cr:
        basis, penalty = ns.CubicRegressionBasis(knots), ns.penalties.Derivative(2)
    else:
        basis = ns.BSplineBasis(knots=knots, degree=own["m"][0] + 1)
        penalty = ns.penalties.Differences(own["m"][1], plain=True)
    if constrained:
        basis = basis.constrained(ZeroMean(x))
    num = basis.num_coefficients
    if cr or not reparametrized:
        gram = np.eye(num)
    else:
        points = np.linspace(x.min(), x.max(), num)
        values = basis.collocation(points)
        gram = values.T @ values
    return decomposed(basis, penalty, gram)


def separated(own):
    """The margin of t2: columns without a penalty, then those of the wiggly part, of unit size."""
    knots, p = np.array(own["knots"]), np.array(own["P"])
    cr = own["class"] == "cr.smooth"
    basis = ns.CubicRegressionBasis(knots) if cr else ns.BSplineBasis(knots=knots)
    rank = len(p) - 2  # The last columns are the constant and a line.
    functions = np.concatenate([p[:, rank:], p[:, :rank]], axis=1)
    ones = np.ones(functions.shape[1])
    gram = np.eye(len(p))
    return MgcvMargin(
        basis=basis,
        functions=functions,
        variances=ones,
        observed=gram,
        size=1.0,
        num_constant=1,
        num_linear=1,
        rows=None,
        num_observations=0.0,
    )


def fit(effects, intercept, case):
    """Penalized least squares at the given scales: fitted values, hat matrix, predictions."""
    x, z, y = (np.array(case[k], dtype=float) for k in ("x", "z", "y"))
    new = [np.array(case[k], dtype=float) for k in ("newx", "newz")]
    inputs = {"x": [x], "z": [z], "xz": [x, z]}
    further = {"x": [new[0]], "z": [new[1]], "xz": new}
    pairs = [(f, *inputs[which]) for f, which in effects]
    eta = ns.AdditivePredictor(*pairs, intercept=intercept)
    values = [f.smooth.scale_priors for f, _ in effects]
    spread = np.asarray(eta.deviations(values))
    sizes = [block.stop - block.start for block in eta.random_blocks()]
    precision = np.concatenate([np.zeros(eta.num_fixed), np.repeat(spread, sizes) ** -2.0])
    design = eta.design() @ eta.local_matrix
    inner = design.T @ design + np.diag(precision)
    # Columns may be free twice (t2 has its own constant): any solution has the same fit.
    solved = np.linalg.pinv(inner, rcond=1e-13, hermitian=True) @ design.T
    coefficients = solved @ y
    sites = eta.sites(jnp.asarray(coefficients))
    there = sites.get("intercept", 0.0) + sum(
        f.function(sites[f.site("coefficients")])(*further[which]) for f, which in effects
    )
    return design @ coefficients, design @ solved, np.asarray(there)


def tensor(case, components, constrained, *, reparametrized=True, first=0):
    own = [
        margin(m, np.array(case[k], dtype=float), c, reparametrized)
        for m, k, c in zip(case["margins"], "xz", constrained, strict=True)
    ]
    lambdas = case["fit"]["lambda_raw"][first : first + 2]
    scales = [np.sqrt(m.size / v) for m, v in zip(own, lambdas, strict=True)]
    f = ns.TensorEffect("f", components=components, linear=FLAT, x=own[0], z=own[1])
    names = list(f.smooth.scale_priors)
    prefix = [name.removesuffix(".scale") for name in names]
    return ns.TensorEffect(
        "f",
        components=components,
        linear=FLAT,
        scales=dict(zip(prefix, scales, strict=True)),
        x=own[0],
        z=own[1],
    )


def additive(case, j, name):
    """s(x) or s(z) of cr beside a ti: centered at the data, under the Gram matrix of its knots."""
    own = case["margins"][j]
    x = np.array(case[name], dtype=float)
    basis = ns.CubicRegressionBasis(np.array(own["knots"])).constrained(ZeroMean(x))
    part = decomposed(basis, ns.penalties.Derivative(2), np.eye(basis.num_coefficients))
    values = np.diag(part.functions.T @ basis.penalty(2) @ part.functions)[part.part("modes")]
    scale = np.sqrt((1.0 / values).sum() / case["fit"]["lambda_raw"][j])
    return ns.TensorEffect(f"s{name}", linear=FLAT, scales={name: scale}, **{name: part})


PARTLY = {"components": FullTensor(), "constrained": (True, False)}
TI = {"components": Interaction(Precision()), "constrained": (True, True)}
TE = {"components": FullTensor(), "constrained": (False, False)}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tensor_1", TE),
        ("tensor_2", TE),
        ("tensor_3", {**TE, "reparametrized": False}),
        ("tensor_5", TI),
        ("tensor_6", {**TI, "first": 2}),
        ("tensor_7", PARTLY),
    ],
)
def test_te_and_ti(name, options, x64):
    case = CASES[name]
    effects = [(tensor(case, **options), "xz")]
    if name == "tensor_6":
        effects += [(additive(case, j, k), k) for j, k in enumerate("xz")]
    fitted, hat, there = fit(effects, FLAT, case)
    close(fitted, case["fit"]["fitted"], 1e-11)
    close(np.diag(hat), case["fit"]["hat"], 1e-11)
    np.testing.assert_allclose(np.trace(hat), case["fit"]["edf_total"], rtol=1e-11)
    close(there, case["fit"]["pred_newx"], 1e-10)


# In mgcv's order of penalties.
T2 = {
    "tensor_8": (False, ["x:z", "z", "x"]),
    "tensor_9": (True, ["x:z", "z", "x.linear:z", "x", "x:z.linear"]),
}


@pytest.mark.parametrize("name", list(T2))
def test_t2(name, x64):
    case, (full, order) = CASES[name], T2[name]
    own = [separated(m) for m in case["margins"]]
    components = BlockTensor(full=full)
    # A block of k tuples has the variance tau^2 / k of each coefficient.
    mass = {key: 1 if full or key == "x:z" else 2 for key in order}
    scales = {
        key: np.sqrt(mass[key] / value)
        for key, value in zip(order, case["fit"]["lambda_raw"], strict=True)
    }
    margins = {"x": own[0], "z": own[1]}
    f = ns.TensorEffect("f", components=components, linear=FLAT, scales=scales, **margins)
    fitted, hat, there = fit([(f, "xz")], FLAT, case)
    close(fitted, case["fit"]["fitted"], 1e-11)
    close(np.diag(hat), case["fit"]["hat"], 1e-11)
    close(there, case["fit"]["pred_newx"], 1e-10)


def test_reml_of_te_on_data():
    """Both smoothing parameters, the noise and the fit of mgcv's te on the ethanol data."""
    case = CASES["ethanol_te"]
    x, z, y = (np.array(case["data"][k], dtype=float) for k in ("C", "E", "NOx"))
    margins = {}
    for name, values, num in (("C", x, 4), ("E", z, 8)):
        knots = np.quantile(np.unique(values), np.linspace(0.0, 1.0, num))
        basis = ns.CubicRegressionBasis(knots)
        margins[name] = decomposed(basis, ns.penalties.Derivative(2), np.eye(num))
    f = ns.TensorEffect("f", components=FullTensor(), linear=FLAT, **margins)
    eta = ns.AdditivePredictor((f, x, z), intercept=FLAT)
    result = ns.regression.penalized_fit(eta, y)
    close(result.linear_predictor, case["fitted"], 1e-6)
    np.testing.assert_allclose(result.edf_total, case["edf_total"], atol=1e-4)
    np.testing.assert_allclose(result.values["sigma"] ** 2, case["reml_scale"], rtol=1e-5)
    for (name, own), value in zip(margins.items(), case["smooths"][0]["lambda_raw"], strict=True):
        ratio = (result.values["sigma"] / result.values[f"f.{name}.scale"]) ** 2
        np.testing.assert_allclose(ratio * own.size, value, rtol=1e-5)
