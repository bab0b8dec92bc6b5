"""A response that can be asked for some rows is evaluated once where the input is known."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import numpyro_splines as ns

CURVE = ns.BSplineBasis([-3.0, 0.0, 3.0]).curve([-4.0, -1.0, 0.5, 1.0, 0.0])
X = np.array([0.3, np.nan, -1.2, np.nan, 1.0, np.nan])
INPUTS = {
    "missing": ns.latent.Missing(X),
    "all known": ns.latent.Missing(np.nan_to_num(X)),
    "coarse": ns.latent.Coarse(
        np.where(np.isnan(X), [-9, -1.0, 0, 0.5, 0, -np.inf], X),
        np.where(np.isnan(X), [-9, 0.5, 0, np.inf, 0, 0.3], X),
    ),
    "validation": ns.latent.Measured([0.2, 0.1, -1.0, np.nan, 1.1, 0.8], 0.3, truth=X),
}
OFFSET, Y = np.linspace(-0.5, 0.5, 6), np.array([[0.1, -0.2]] * 3 + [[0.4, 0.0]] * 3)


def given(slope, x, rows=slice(None)):
    mean = OFFSET[rows] + slope * CURVE(x)
    return dist.Normal(jnp.stack([mean, -mean], axis=-1), 0.4).to_event(1)


@pytest.mark.parametrize("chunk", [None, 5])
@pytest.mark.parametrize("kind", INPUTS)
def test_asking_for_rows_changes_nothing_but_the_cost(kind, chunk, x64):
    sizes = []

    def density(slope, by_rows):
        def response(x):
            return given(slope, x)

        def of_rows(x, rows):
            sizes.append(x.shape)
            return given(slope, x, rows)

        law = INPUTS[kind].integrate(
            "x", dist.Normal(0.2, 1.0), ns.latent.Quadrature(chunk=chunk),
            response=of_rows if by_rows else response,
        )  # fmt: skip
        return law.log_prob(Y)

    def both(slope, by_rows):
        value = density(slope, by_rows)
        return value, jax.jacfwd(lambda at: density(at, by_rows))(slope)

    plain, split = (jax.jit(both, static_argnums=1)(1.3, by_rows) for by_rows in (False, True))
    np.testing.assert_allclose(split, plain, rtol=1e-12, atol=1e-12)
    known = INPUTS[kind].known_rows.size
    assert {rows for nodes, rows in sizes if nodes > 1} <= {6 - known}
    assert (1, known) in sizes


def test_draws_ask_for_all_rows(x64):
    law = INPUTS["missing"].integrate(
        "x", dist.Normal(0.2, 1.0), response=lambda x, rows: given(1.3, x, rows)
    )
    x, _ = law.draw_inputs(jax.random.key(0), Y)
    np.testing.assert_array_equal(x[INPUTS["missing"].known_rows], X[~np.isnan(X)])
    assert law.sample(jax.random.key(1), (3,)).shape == (3, 6, 2)
