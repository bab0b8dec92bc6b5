"""What a user writes, for the type checker alone: `make lint` reads it, nothing here runs.

A line that is assigned to an annotated name says what a user may rely on.
"""

# pyright: standard, reportUnknownVariableType=true, reportUnknownArgumentType=true

from __future__ import annotations

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import xarray as xr
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns

x: np.ndarray = np.linspace(0.0, 1.0, 50)
y: np.ndarray = np.sin(x)

# Bases, priors, effects.
knots: np.ndarray = ns.knots.quantile(x, 12)
basis: ns.AbstractBasis = ns.BSplineBasis(knots, degree=3, extrapolation=ns.extrapolation.Linear())
prior: ns.AbstractPrior = ns.SmoothnessPrior(scale=dist.HalfNormal(1.0), linear=2.0)
f = ns.SplineEffect("f", basis, prior, measure=pd.Series(x))
size: int = f.basis.num_coefficients

# Surfaces and groups.
margin = ns.CurveMargin(basis, measure=x)
g = ns.TensorEffect("g", x=margin, group=ns.GroupMargin(["a", "b"] * 25))
index: np.ndarray = ns.GroupMargin(["a", "b"]).index(["b"])

# Inputs that are not known.
data = ns.latent.Measured(x, 0.1)


def model(y: np.ndarray | None = None) -> None:
    curve = f.sample()
    inputs = data.sample("x", dist.Normal(0.5, 1.0))
    slope: jax.Array = curve.derivative()(inputs)
    surface = g.sample()
    numpyro.deterministic("slope", slope + surface(inputs, np.zeros(50, int)))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(curve(inputs), sigma), obs=y)


mcmc = MCMC(NUTS(model), num_warmup=10, num_samples=10)
mcmc.run(jax.random.key(0), y)
draws: dict[str, jax.Array] = {}  # of get_samples(), whose type NumPyro leaves open

# Curves and what they are asked.
curve: ns.Curve = f.curve(draws)
values: jax.Array = curve(x)
area: jax.Array = curve.integrate(0.0, 1.0)
back: jax.Array = curve.inverse(0.5)
total: ns.Curve = curve.derivative() * 2.0
twice: ns.Surface = g.surface(draws).derivative(x=1)

# Labels after inference.
labeled = ns.posterior.curve(f, draws, input_name="time")
table: pd.DataFrame = ns.posterior.table(ns.posterior.bands(ns.posterior.values(labeled, x)))
highest: xr.Dataset = ns.posterior.peak(labeled)
integral: xr.DataArray = ns.posterior.integral(labeled, 0.0, 1.0)
ns.posterior.save("fit.nc", [f, g], draws)
kept = ns.posterior.load("fit.nc")
kept_draws: xr.Dataset = kept.draws
names: list[str] = list(kept.effects)

# Regression.
predictor = ns.AdditivePredictor((f, x), intercept=dist.Normal())
framed = ns.AdditivePredictor.from_frame(
    pd.DataFrame({"x": x, "dose": y}), "x", intercept=dist.Normal(), linear={"dose": dist.Normal()}
)
eta: jax.Array = predictor.evaluate(np.zeros(size + 1))
fit = ns.regression.penalized_fit(predictor, y, ns.regression.Gaussian())
edf: dict[str, np.ndarray] = fit.edf
adapted: ns.SplineEffect = fit.adapted(f)
integrated = ns.regression.IntegratedGaussian(predictor)
later: xr.DataArray = ns.posterior.linear_predictor(predictor.at({"f": x}), draws)

# Figures.
axes = ns.plotting.effect(labeled, observed=x)
axes.set_xlabel("time (ms)")
