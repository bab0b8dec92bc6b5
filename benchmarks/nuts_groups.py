"""Curves by group: average and contrasts in coordinates that know the data, against by hand.

    python benchmarks/nuts_groups.py [SEEDS]

8 groups of 40 points. By hand: a population curve plus a deviation of each group, every wiggly part
non-centered in the usual mixed-model form, plain NumPyro. Both have the same functions, the same
scales of intercepts, slopes and wiggles, and the same priors. Effective draws are those of the
curves at 20 points of each group, of the scales and of sigma: the worst of them per leapfrog.
"""

import sys

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import runs
from numpyro.diagnostics import effective_sample_size

import numpyro_splines as ns

GROUPS, POINTS, DRAWS = 8, 40, 500
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 5))
GRID = np.linspace(0.02, 0.98, 20)


def data(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(GROUPS, POINTS))
    level, slope, wave = rng.normal(size=(3, GROUPS, 1))
    f = np.sin(6.0 * x) + 0.5 * level + 0.5 * slope * (x - 0.5) + 0.2 * wave * np.cos(9.0 * x)
    y = 1.0 + f + 0.3 * rng.normal(size=x.shape)
    return x.ravel(), np.repeat(np.arange(GROUPS), POINTS), y.ravel()


def by_hand(x, group, y):
    margin = ns.CurveMargin(BASIS, measure=x)
    deviations = np.sqrt(margin.variances[margin.part("modes")])
    columns = [
        jnp.asarray(margin.design(x) @ margin.functions[:, margin.part(p)])
        for p in ("linear", "modes")
    ]
    lines, modes = columns[0][:, 0], columns[1] * deviations

    def model():
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 5.0))
        slope = numpyro.sample("slope", dist.Normal())
        tau = {n: numpyro.sample(f"tau_{n}", dist.HalfNormal(s)) for n, s in SCALES.items()}
        num = modes.shape[1]
        b = tau["curve"] * numpyro.sample("b", dist.Normal().expand([num]).to_event(1))
        with numpyro.plate("groups", GROUPS):
            u = tau["levels"] * numpyro.sample("u", dist.Normal())
            v = tau["slopes"] * numpyro.sample("v", dist.Normal())
            w = numpyro.sample("w", dist.Normal().expand([num]).to_event(1))
        w = tau["curves"] * w
        mu = level + u[group] + (slope + v[group]) * lines + (modes * (b + w[group])).sum(-1)
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    at = margin.design(GRID) @ margin.functions
    line, wiggles = at[:, margin.part("linear")][:, 0], at[:, margin.part("modes")] * deviations

    def curves(s):
        total = s["tau_curve"][..., None] * s["b"]
        total = total[..., None, :] + s["tau_curves"][..., None, None] * s["w"]
        level = s["level"][..., None] + s["tau_levels"][..., None] * s["u"]
        slope = s["slope"][..., None] + s["tau_slopes"][..., None] * s["v"]
        return level[..., None] + slope[..., None] * line + total @ wiggles.T

    return model, curves, {f"tau_{name}" for name in SCALES}


SCALES = {"curve": 1.0, "levels": 1.0, "slopes": 1.0, "curves": 0.5}
KEYS = {"curve": "age", "levels": "boy", "slopes": "age.linear:boy", "curves": "age:boy"}


def known_noise(x, group, y):
    return ours(x, group, y, noise=0.3)


def ours(x, group, y, noise=None):
    margins = {"age": ns.CurveMargin(BASIS, measure=x), "boy": ns.GroupMargin(group)}
    scales = {KEYS[name]: dist.HalfNormal(size) for name, size in SCALES.items()}
    f = ns.TensorEffect("f", scales=scales, noise=noise, **margins)

    def model():
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 5.0))
        mu = level + f.sample()(x, group)
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    def curves(s):
        values = f.surface(s)(GRID, np.arange(GROUPS)[:, None])
        return np.asarray(values) + s["level"][..., None, None]

    return model, curves, {f.site(f"{key}.scale") for key in KEYS.values()}


def adapted(x, group, y):
    """In coordinates of a joint fit."""
    margins = {"age": ns.CurveMargin(BASIS, measure=x), "boy": ns.GroupMargin(group)}
    scales = {KEYS[name]: dist.HalfNormal(size) for name, size in SCALES.items()}
    f = ns.TensorEffect("f", scales=scales, **margins)
    eta = ns.AdditivePredictor((f, x, group), intercept=dist.Normal(0.0, 5.0))
    eta = ns.regression.penalized_fit(eta, y).adapted(eta)

    def model():
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(eta.sample(), sigma), obs=y)

    def curves(s):
        values = f.surface(s)(GRID, np.arange(GROUPS)[:, None])
        return np.asarray(values) + s["intercept"][..., None, None]

    return model, curves, {f.site(f"{key}.scale") for key in KEYS.values()}


FORMS = {
    "by hand": by_hand,
    "ours": ours,
    "ours, noise=0.3": known_noise,
    "ours, adapted": adapted,
}


def run(make, seed):
    model, curves, scales = make(*data(seed))
    samples, leapfrogs, diverging, seconds = runs.run(model, seed=seed, draws=DRAWS)
    sizes = [effective_sample_size(np.asarray(curves(samples))).min()]
    sizes += [effective_sample_size(samples[k]) for k in (*scales, "sigma")]
    worst = float(min(sizes))
    per = 1000.0 * worst / (leapfrogs * 2 * DRAWS)
    return leapfrogs, worst, per, diverging, seconds


def main():
    numpyro.set_host_device_count(2)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{'':>24} {'leapfrogs':>9} {'min ESS':>8} {'per 1000':>9} {'diverging':>9} {'s':>6}")
    ratios = []
    for seed in range(seeds):
        rows = {name: run(make, seed) for name, make in FORMS.items()}
        for name, (leapfrogs, worst, per, diverging, seconds) in rows.items():
            print(
                f"{name:>16} {seed:>7} {leapfrogs:9.0f} {worst:8.0f} {per:9.2f} {diverging:9d} "
                f"{seconds:6.1f}"
            )
        ratios.append([rows[name][2] / rows["by hand"][2] for name in FORMS])
    print("effective draws per leapfrog, median of ratios to by hand:")
    print(dict(zip(FORMS, np.median(ratios, axis=0).round(1).tolist(), strict=True)))


if __name__ == "__main__":
    main()
