"""Surfaces after inference: the names of inputs, labels of groups, and what plain arrays say."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray as xr
from numpyro.infer import Predictive

import numpyro_splines as ns
from numpyro_splines import posterior as po
from numpyro_splines.prior_checks import component_degrees_of_freedom, component_sizes

RNG = np.random.default_rng(0)
X, Z = RNG.uniform(size=(2, 60))
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 3))
BOYS = ("Ann", "Bob", "Tom")
F = ns.TensorEffect(
    "f", x=ns.CurveMargin(BASIS, measure=X), z=ns.CurveMargin(BASIS, measure=Z), noise=0.5
)
G = ns.TensorEffect("growth", age=ns.CurveMargin(BASIS), boy=ns.GroupMargin(BOYS))
AREAS = ns.TensorEffect("area", place=ns.GraphMargin([("a", "b"), ("b", "c")]))
DRAWS = {
    "f.coefficients": RNG.normal(size=(2, 6, 5, 5)),
    "growth.coefficients": RNG.normal(size=(2, 6, 5, 3)),
    "area.coefficients": RNG.normal(size=(2, 6, 3)),
    "level": RNG.normal(size=(2, 6)),
}
GRID = np.linspace(0.0, 1.0, 7)


@pytest.fixture(scope="module")
def f():
    return po.surface(F, DRAWS)


@pytest.fixture(scope="module")
def growth():
    return po.surface(G, DRAWS)


def close(labeled, values):
    np.testing.assert_allclose(labeled.values, values, rtol=2e-4, atol=2e-5)


def test_a_grid_of_names(f):
    found = po.values(f, x=GRID, z=[0.2, 0.4])
    assert found.dims == ("chain", "draw", "x", "z")
    np.testing.assert_array_equal(found["x"], GRID)
    close(found, F.surface(DRAWS)(GRID[:, None], np.array([0.2, 0.4])))
    assert dict(po.values(f, x=0.5, num_points=5).sizes) == {"chain": 2, "draw": 6, "z": 5}
    assert po.values(f, [0.1, 0.2], z=0.5).dims == ("chain", "draw", "x")


def test_rows_of_data(f, growth):
    frame = pd.DataFrame({"x": X[:4], "z": Z[:4], "boy": ["Tom", "Ann", "Tom", "Bob"]})
    frame.index = list("pqrs")
    found = po.values(f, x=frame["x"], z=frame["z"], dim="obs")
    close(found, F.surface(DRAWS)(X[:4], Z[:4]))
    assert list(found["obs"].values) == list("pqrs")
    named = {k: xr.DataArray(frame[k].to_numpy(), dims="obs") for k in ("x", "z")}
    close(po.values(f, **named), found)
    rows = po.values(growth, age=frame["x"], boy=frame["boy"], dim="obs")
    close(rows, G.surface(DRAWS)(X[:4], np.array([2, 0, 2, 1])))
    total = po.partial_sum((f + DRAWS["level"], X[:4], frame["z"]), (growth, X[:4], frame["boy"]))
    assert list(total["obs"].values) == list("pqrs")
    close(total, found + rows + DRAWS["level"][..., None])


def test_each_surface_at_its_own_points(f):
    latent = xr.DataArray(RNG.uniform(size=(2, 6, 3)), dims=["chain", "draw", "obs"])
    z = xr.DataArray(Z[:3], dims="obs")
    found = po.values(f, x=latent, z=z)
    assert found.dims == ("chain", "draw", "obs")
    close(found, F.surface(DRAWS).each(latent.values, np.broadcast_to(Z[:3], (2, 6, 3))))


def test_groups_go_by_label(growth):
    found = po.values(growth, age=GRID, boy=["Tom", "Ann"])
    assert list(found["boy"].values) == ["Tom", "Ann"]
    close(found, G.surface(DRAWS)(GRID[:, None], np.array([2, 0])))
    assert list(po.values(growth, age=GRID)["boy"].values) == list(BOYS)
    areas = po.values(po.surface(AREAS, DRAWS))
    assert list(areas["place"].values) == ["a", "b", "c"]
    np.testing.assert_allclose(areas, DRAWS["area.coefficients"], rtol=1e-6)
    difference = growth.slice(boy="Ann") - growth.slice(boy="Tom")
    both = po.values(growth, age=GRID)
    close(po.values(difference, GRID), both.sel(boy="Ann") - both.sel(boy="Tom"))
    curves = growth.slice(boy=growth.levels["boy"])
    assert isinstance(curves, po.LabeledCurve)
    close(po.values(curves, age=GRID).transpose("chain", "draw", "age", "boy"), both)


def test_derivatives_are_exact_also_of_the_response(f):
    orders = {"x": 1, "z": 1}
    surface = F.surface(DRAWS)
    at = (GRID[1:-1, None], np.array([0.21, 0.43]))
    plain = po.values(f, x=GRID[1:-1], z=[0.21, 0.43], derivative=orders)
    assert plain.name == "d2f/dxdz"
    close(po.values(f.derivative(x=1, z=1), x=GRID[1:-1], z=[0.21, 0.43]), plain)
    found = po.values(f, x=GRID[1:-1], z=[0.21, 0.43], derivative=orders, inverse_link=jnp.exp)
    slopes = [surface.derivative(**one)(*at) for one in ({"x": 1}, {"z": 1})]
    close(found, np.exp(surface(*at)) * (plain.values + slopes[0] * slopes[1]))


def test_verbs_of_surfaces_keep_names(f):
    surface = F.surface(DRAWS)
    for made, plain in (
        (f.slice(z=0.3), surface.slice(z=0.3)),
        (f.component("x"), surface.component("x")),
        (f.mean("z"), surface.mean("z")),
        (f.integrate(z=(0.1, 0.4)), surface.integrate(z=(0.1, 0.4))),
    ):
        assert (type(made), made.input_name) == (po.LabeledCurve, "x")
        close(po.values(made, GRID), plain(GRID))
    assert f.slice(z=0.3).name == "f[z=0.3]"
    assert f.mean().dims == ("chain", "draw")
    parts = [po.values(f.component(name), num_points=4) for name in ("x", "z", "x:z")]
    close(sum(parts, f.mean()).transpose("chain", "draw", "x", "z"), po.values(f, num_points=4))
    several = f.slice(z=[0.1, 0.3])
    assert several.sizes == {"chain": 2, "draw": 6, "z": 2}
    close(
        po.values(2.0 * (f - f.component("x:z")) + 1.0, x=0.2, z=0.4),
        2.0 * (po.values(f, x=0.2, z=0.4) - po.values(f.component("x:z"), x=0.2, z=0.4)) + 1.0,
    )


def test_inputs_can_have_units(f, growth):
    renamed = f.rename(x="dose (mg)")
    assert po.values(renamed, z=0.1, num_points=3).dims == ("chain", "draw", "dose (mg)")
    close(po.values(renamed, z=0.1, **{"dose (mg)": GRID}), po.values(f, x=GRID, z=0.1))
    assert growth.rename(boy="child").levels == {"child": list(BOYS)}


def test_bands_hold_whole_surfaces(f):
    draws = po.values(f, num_points=5)
    wide = po.bands(draws, 0.5, po.Simultaneous())
    inside = ((draws >= wide["lower"]) & (draws <= wide["upper"])).all(["x", "z"])
    assert wide["mean"].dims == ("x", "z")
    assert 0.4 <= float(inside.mean()) <= 0.6
    assert len(po.table(po.bands(draws))) == 25


def test_a_large_grid_of_many_draws_fits_into_memory():
    many = {"f.coefficients": np.zeros((4, 1000, 5, 5), np.float32)}
    found = po.values(po.surface(F, many), x=np.linspace(0, 1, 50), z=np.linspace(0, 1, 50))
    assert found.shape == (4, 1000, 50, 50)


def test_populations_have_names():
    names = ("age", "boy", "age.linear:boy", "age:boy")
    draws = DRAWS | {f"growth.{name}.scale": np.ones((2, 6)) for name in names}
    key = jax.random.key(0)
    of_all = po.population(G, key, draws)
    close(po.values(of_all, GRID), G.population(key, draws)(GRID))
    assert of_all.input_name == "age"
    new = po.new_levels(G, key, draws, 4)
    assert new.sizes == {"chain": 2, "draw": 6, "boy": 4}


@pytest.fixture(scope="module")
def prior():
    return Predictive(F.sample, num_samples=20)(jax.random.key(0))


def test_sites_have_names_for_arviz(prior):
    draws = {k: v[None] for k, v in prior.items()}
    draws |= {
        f"{name}.coefficients": DRAWS[f"{name}.coefficients"][:1, :1].repeat(20, 1)
        for name in ("growth", "area")
    }
    named = po.labels(draws, F, G, AREAS)
    assert named["dims"]["f.x:z.modes"] == ["f.x:z.mode"]
    assert named["dims"]["f.coefficients"] == ["f.x", "f.z"]
    assert named["dims"]["f.x:z.anisotropy"] == ["f.x:z.anisotropy"]
    assert list(named["coords"]["f.polynomial"]) == ["x", "z", "x:z"]
    assert list(named["coords"]["growth.boy"]) == list(BOYS)
    for site, dims in named["dims"].items():
        assert draws[site].shape[2:] == tuple(len(named["coords"][dim]) for dim in dims)


def test_degrees_of_freedom_by_component():
    one = ns.SplineEffect("g", BASIS, measure=X)
    scales = {"f.x.scale": 0.3, "f.z.scale": 0.3, "f.x:z.scale": 0.1}
    draws = {name: np.full((2, 6), value) for name, value in scales.items()}
    draws["f.x:z.anisotropy"] = np.zeros((2, 6, 1))
    found = po.degrees_of_freedom(F, draws, sigma=0.5, num_observations=60)
    assert found.dims == ("chain", "draw", "component")
    alone = ns.prior_checks.degrees_of_freedom(
        one, 0.3, sigma=0.5, num_observations=60, linear_scale=1e-12
    )
    np.testing.assert_allclose(found.sel(component="x"), alone, rtol=1e-6)
    short = {k.removeprefix("f."): v for k, v in draws.items()}
    assert set(component_degrees_of_freedom(F, short, sigma=0.5, num_observations=60)) == set(
        found["component"].values
    )
    with pytest.raises(ValueError, match=r"`values` must be of the sites .*; got \['y.scale'\]"):
        component_degrees_of_freedom(F, {"y.scale": 1.0}, sigma=0.5, num_observations=60)


def test_prior_sizes_are_those_of_the_surfaces(prior):
    sizes = component_sizes(F, jax.random.key(0), num_draws=20)
    curve = F.surface(prior).component("x")
    mu = F.margins["x"].mu
    # The component has the linear part of x too, the first of three.
    both = np.sqrt(sizes["x"] ** 2 + np.asarray(prior["f.linear"])[:, 0] ** 2)
    size = np.sqrt(np.asarray(curve(mu.points)) ** 2 @ mu.weights)
    np.testing.assert_allclose(size, both, rtol=0.05)


def dense_concurvity(columns, groups):
    """mgcv's algorithm on a dense matrix."""
    result = []
    for own in groups:
        x, others = columns[:, own], np.delete(columns, own, axis=1)
        q = np.linalg.svd(others, full_matrices=False)
        q = q[0][:, q[1] > 1e-8 * q[1][0]]
        explained = q @ (q.T @ x)
        basis = np.linalg.svd(x, full_matrices=False)
        basis = basis[0][:, basis[1] > 1e-8 * basis[1][0]]
        worst = np.linalg.svd(q.T @ basis)[1][0] ** 2
        result.append((worst, (explained**2).sum() / (x**2).sum()))
    return np.array(result)


def test_concurvity_is_that_of_mgcv():
    h = ns.SplineEffect("h", BASIS, measure=X)
    w = 0.7 * X + 0.3 * Z
    eta = ns.AdditivePredictor(
        (F, X, Z), (h, w), intercept=dist.Normal(), linear={"b": (Z, dist.Normal())}
    )
    found = po.concurvity(eta)
    assert list(found.index) == ["f", "f.linear", "f.x", "f.z", "f.x:z", "h"]
    columns = (eta.design() @ eta.local_matrix).astype(float)
    whole = {
        name: np.concatenate(
            [np.arange(b.start, b.stop) for b in eta.blocks if b.site.startswith(f"{name}.")]
        )
        for name in ("f", "f.x:z", "h")
    }
    expected = dense_concurvity(columns, whole.values())
    np.testing.assert_allclose(found.loc[list(whole)], expected, rtol=1e-4, atol=1e-6)
    fitted = po.concurvity(eta, np.ones(eta.num_coefficients))
    assert fitted["observed"].between(0.0, 1.0).all()
    assert (fitted["observed"] <= fitted["worst"] + 1e-6).all()
    with pytest.raises(ValueError, match="`coefficients` must be the"):
        po.concurvity(eta, [1.0])


def test_effects_survive_a_file(tmp_path, f):
    po.save(tmp_path / "fit.nc", [F, G, AREAS], DRAWS)
    effects, draws = po.load(tmp_path / "fit.nc")
    for effect in (F, G, AREAS):
        assert jax.tree.structure(effects[effect.name]) == jax.tree.structure(effect)
    kept = po.values(po.surface(effects["f"], draws), x=GRID, z=GRID)
    np.testing.assert_array_equal(kept, po.values(f, x=GRID, z=GRID))
    assert effects["growth"].margins["boy"].levels == BOYS


def test_an_effect_of_one_number_has_curves():
    one = ns.TensorEffect("g", dose=ns.CurveMargin(BASIS))
    curve = po.curve(one, {"g.coefficients": RNG.normal(size=(2, 6, 5))})
    assert curve.input_name == "dose"
    with pytest.raises(TypeError, match=r"Use posterior\.surface"):
        po.curve(F, DRAWS)
    with pytest.raises(TypeError, match=r"Use posterior\.curve"):
        po.surface(one, DRAWS)


def test_plates_around_surfaces_keep_their_names():
    drawn = RNG.normal(size=(2, 5, 5))
    draws = xr.Dataset({"f.coefficients": (("chain", "draw", "site", "a", "b"), drawn[None, None])})
    assert po.surface(F, draws).dims == ("chain", "draw", "site")
    plain = po.surface(F, {"f.coefficients": drawn[None, None]}, dims=["region"])
    assert plain.sel(region=1).dims == ("chain", "draw")


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda f, g: po.values(f, y=1.0), TypeError, r"inputs of 'f' are \('x', 'z'\); got"),
        (lambda f, g: po.values(g, [0.1]), TypeError, "must be given once, by its name"),
        (lambda f, g: po.values(f, derivative=1), TypeError, "`derivative` must be orders by"),
        (lambda f, g: po.values(f, derivative={"y": 1}), TypeError, r"inputs \(.x., .z.\) of .f."),
        (lambda f, g: po.values(3.0), TypeError, "`curve` must be a LabeledCurve or"),
        (lambda f, g: po.values(f, x=[[0.1]]), ValueError, "`x` must have one axis"),
        (lambda f, g: po.values(g, boy=["Eve"]), ValueError, "`boy` must hold levels of 'growth'"),
        (lambda f, g: po.values(f, x=[0.1], z=[0.1, 0.2], dim="obs"), ValueError, "must agree on"),
        (lambda f, g: f.rename(y="b"), ValueError, r"inputs of 'f' are .*; got \['y'\]"),
        (
            lambda f, g: ns.prior_checks.check_prior(F, jax.random.key(0)),
            TypeError,
            r"`effect` must be a SplineEffect; got TensorEffect\. component_sizes",
        ),
        (lambda f, g: f.slice(z=[[0.1]]), ValueError, "`z` must be a value or a list"),
        (lambda f, g: f + f.slice(z=0.1), TypeError, "functions of the same inputs"),
        (lambda f, g: po.LabeledSurface(f), TypeError, "`surface` must be a Surface"),
        (
            lambda f, g: po.LabeledSurface(g.surface, levels={"boy": ["Ann"]}),
            ValueError,
            r"`levels\['boy'\]` must hold 3 labels",
        ),
        (
            lambda f, g: po.LabeledSurface(f.surface, dims=("chain", "x")),
            ValueError,
            "`dims` must name the batch axes of the surface",
        ),
    ],
)
def test_mistakes_are_told(f, growth, use, error, message):
    with pytest.raises(error, match=message):
        use(f, growth)
