"""Draw the pictures of README.md and of the reference of plotting: `make pictures`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
from matplotlib.axes import Axes
from numpyro.infer import MCMC, NUTS
from PIL import Image

import numpyro_splines as ns
from numpyro_splines import datasets, plotting

HERE = Path(__file__).parent


def fit(predictor: ns.AdditivePredictor, y: np.ndarray) -> dict[str, Any]:
    """Draws of all sites, by chain."""
    regression = ns.regression.IntegratedGaussian(predictor)

    def model(y: np.ndarray) -> None:
        sigma = numpyro.sample("sigma", dist.HalfNormal(y.std()))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    mcmc = MCMC(NUTS(model), num_warmup=300, num_samples=300, progress_bar=False)
    mcmc.run(jax.random.key(0), y)
    draws = mcmc.get_samples(group_by_chain=True)
    return regression.draw(jax.random.key(1), draws, y, draws["sigma"])


def crash() -> dict[str, Any]:
    """One curve: what there is to be seen of it."""
    data = datasets.load_mcycle()
    x, y = (data[name].to_numpy() for name in ("times", "accel"))
    prior = ns.SmoothnessPrior(scale=dist.HalfNormal(100.0), linear=50.0)
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.quantile(x, 20)), prior, measure=x)
    predictor = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 50.0))
    draws = fit(predictor, y)
    quantiles = ns.posterior.residuals(predictor, draws, ns.regression.Gaussian(), y)
    mean = ns.posterior.curve(f, draws, input_name="time (ms)") + draws["intercept"]
    mean.name = "acceleration (g)"
    residuals = y - np.asarray(ns.posterior.values(mean, x).mean(("chain", "draw")))
    check = ns.prior_checks.check_prior(f, jax.random.key(2))
    stiff = ns.SmoothnessPrior(scale=dist.HalfNormal(5.0), linear=50.0)
    g = ns.SplineEffect("f", f.basis, stiff, measure=x)
    drawn = fit(ns.AdditivePredictor((g, x), intercept=dist.Normal(0.0, 50.0)), y)
    other = ns.posterior.curve(g, drawn, input_name="time (ms)") + drawn["intercept"]
    responses = ns.posterior.values(mean, np.linspace(2.4, 57.6, 200))
    noise = np.random.default_rng(0).normal(size=responses.shape)
    return {
        "effect": lambda: plotting.effect(mean, observed=x, residuals=residuals),
        "compare": lambda: plotting.compare({"scale 100 g": mean, "scale 5 g": other}),
        "spaghetti": lambda: plotting.spaghetti(mean),
        "derivative": lambda: plotting.derivative(mean),
        "effect_and_derivative": lambda: plotting.effect_and_derivative(mean, observed=x),
        "bands": lambda: plotting.bands(responses + noise * draws["sigma"][..., None]),
        "residuals": lambda: plotting.residuals(quantiles),
        "prior": lambda: plotting.prior(check, input_name="time (ms)"),
        "prior_posterior": lambda: plotting.prior_posterior(
            check, ns.posterior.curve(f, draws, input_name="time (ms)")
        ),
        "basis": lambda: plotting.basis(ns.BSplineBasis(ns.knots.quantile(x, 8))),
        "modes": lambda: plotting.modes(f, 5),
        "penalty": lambda: plotting.penalty(f.basis),
    }


def ethanol() -> dict[str, Any]:
    """Functions of two inputs."""
    data = datasets.load_ethanol()
    e, c = data["equivalence"], data["compression"]
    f = ns.TensorEffect(
        "nox",
        equivalence=ns.CurveMargin(ns.BSplineBasis(ns.knots.quantile(e, 10)), measure=e),
        compression=ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(7.5, 18.0, 5)), measure=c),
    )
    draws = fit(ns.AdditivePredictor((f, e, c), intercept=dist.Normal(2.0, 2.0)), data["nox"])
    surface = ns.posterior.surface(f, draws)
    parts = [surface.component(name) for name in ("equivalence", "compression")]
    return {
        "effects": lambda: plotting.effects(parts, observed=data),
        "surface": lambda: plotting.surface(surface, observed=(e, c), too_far=0.25),
        "slices": lambda: plotting.slices(surface, observed=e),
        "anova": lambda: plotting.anova(surface),
    }


def groups() -> dict[str, Any]:
    """Curves by group, numbers by group, and a map."""
    boys = datasets.load_oxboys().query("subject <= 8")
    age, boy = boys["age"].to_numpy(), boys["subject"].map("{:02d}".format).to_numpy()
    margin = ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(-1.0, 1.01, 3)), measure=age)
    growth = ns.TensorEffect("growth", age=margin, boy=ns.GroupMargin(boy), linear=5.0)
    predictor = ns.AdditivePredictor((growth, age, boy), intercept=dist.Normal(150.0, 20.0))
    curves = ns.posterior.surface(growth, fit(predictor, boys["height"].to_numpy()))
    crime = datasets.load_columb()
    margin = ns.GraphMargin(datasets.load_columb_neighbours(), observations=crime["district"])
    field = ns.TensorEffect("crime", district=margin, scales={"district": dist.HalfNormal(15.0)})
    predictor = ns.AdditivePredictor((field, crime["district"]), intercept=dist.Normal(35.0, 20.0))
    areas = ns.posterior.surface(field, fit(predictor, crime["crime"].to_numpy()))
    places = crime.set_index("district")[["x", "y"]]
    return {
        "groups": lambda: plotting.groups(curves, observed=age, group=boy),
        "levels": lambda: plotting.levels(curves.component("boy")),
        "areas": lambda: plotting.areas(areas, places),
    }


def latent() -> dict[str, Any]:
    """Inputs measured with error, on the curve."""
    rng = np.random.default_rng(0)
    truth = rng.normal(3.0, 1.5, 40)
    w, y = truth + 0.3 * rng.normal(size=40), np.sin(truth) + 0.2 * rng.normal(size=40)
    data = ns.latent.Measured(w, 0.3)
    knots = data.knots(10)
    f = ns.SplineEffect("f", ns.BSplineBasis(knots), measure=w)

    def model(w: np.ndarray, y: np.ndarray) -> None:
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        curve = f.sample()
        x = data.sample("x", dist.Normal(3.0, 1.5))
        numpyro.sample("y", dist.Normal(curve(x), sigma), obs=y)

    mcmc = MCMC(NUTS(model), num_warmup=300, num_samples=300, progress_bar=False)
    mcmc.run(jax.random.key(0), w, y)
    draws = mcmc.get_samples(group_by_chain=True)

    def draw() -> Axes:
        curve = ns.posterior.curve(f, draws).restrict(w.min(), w.max())
        axes = plotting.effect(curve)
        return plotting.latent_inputs(draws["x"], y, axes=axes)

    return {"latent_inputs": draw}


def save(name: str, axes: Any) -> None:
    """Keep the picture small: few pixels, few colors."""
    figure = np.ravel(axes)[0].figure
    width = figure.get_size_inches()[0]
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=min(110.0, 900.0 / width))
    picture = Image.open(buffer).convert("RGB").quantize(64)
    picture.save(HERE / f"{name}.png", optimize=True)
    plt.close(figure)


def main() -> None:
    """Draw them all."""
    plt.switch_backend("agg")
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    for pictures in (crash(), ethanol(), groups(), latent()):
        for name, draw in pictures.items():
            save(name, draw())


if __name__ == "__main__":
    main()
