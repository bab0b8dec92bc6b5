"""Effects and draws in files: the same predictions to the last bit; bad files are refused."""

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path

import arviz as az
import h5netcdf
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr
from cases import CASES

import numpyro_splines as ns
from numpyro_splines import posterior as po
from numpyro_splines.effects import AbstractEffect
from numpyro_splines.functions.axes import AbstractAxis
from numpyro_splines.margins import AbstractMargin
from numpyro_splines.posterior.description import described, restored
from numpyro_splines.posterior.vocabulary import KINDS, class_of, fields_of, kind_of
from numpyro_splines.priors.correlated import AbstractCorrelated
from numpyro_splines.priors.joint import JointCoordinates
from numpyro_splines.priors.profiles import AbstractProfile
from numpyro_splines.priors.tensor import Block

BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
X = np.random.default_rng(0).beta(2.0, 3.0, 40)
GRID = np.linspace(-0.3, 1.2, 50)
FLAT = dist.ImproperUniform(dist.constraints.real, (), ())
WARPED = dist.TransformedDistribution(
    dist.Uniform(0.0, 1.0), ns.SplineTransform(BASIS.curve(np.arange(8.0)), bounded=True)
)
PRIORS = {
    "default": ns.SmoothnessPrior(),
    "fixed": ns.SmoothnessPrior(scale=0.5, mean=np.arange(8.0)),
    "curve": ns.SmoothnessPrior(mean=BASIS.curve(np.arange(8.0))),
    "flat": ns.SmoothnessPrior(linear=FLAT),
    "walk": ns.RandomWalkPrior(1, scale=ns.scales.pc_scale(1.0, 0.1)),
    "folded": ns.SmoothnessPrior(
        scale=ns.scales.half_student_t(), linear_scale=dist.HalfCauchy(1.0)
    ),
    "transformed": ns.SmoothnessPrior(scale=ns.scales.inverse_gamma_variance(1.0, 0.1)),
    "truncated": ns.SmoothnessPrior(scale=dist.TruncatedNormal(0.0, 1.0, low=0.0)),
    "monotone": ns.MonotonePrior(rise=dist.LogNormal(0.0, 1.0), start=dist.Normal(0.0, 1.0)),
    "concave": ns.MonotonePrior(curvature="concave", straight=dist.Beta(2.0, 2.0)),
    "convex": ns.ConvexPrior("concave", bend=dist.Gamma(2.0, 1.0)),
    "positive": ns.PositivePrior(),
    "simplex": ns.SimplexPrior(),
    "adaptive": ns.AdaptivePrior(),
    "horseshoe": ns.HorseshoePrior(),
    "shrunk": ns.SmoothnessPrior(penalty=ns.penalties.Shrunk(ns.penalties.Derivative(2), 0.3)),
    "plain": ns.SmoothnessPrior(penalty=ns.penalties.Differences(2, plain=True)),
    "masked": ns.SmoothnessPrior(scale=dist.HalfNormal(1.0).mask(False)),
    "warped": ns.SmoothnessPrior(scale=WARPED),
}


class Fourier(ns.AbstractBasis):
    frequencies: np.ndarray
    num_coefficients = property(lambda self: 2 * len(self.frequencies))
    domain = (0.0, 1.0)

    def __call__(self, x):
        angle = 2 * jnp.pi * jnp.asarray(x)[..., None] * self.frequencies
        return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def effect(prior="default", name="f", basis=BASIS):
    return ns.SplineEffect(name, basis, PRIORS[prior], measure=X)


def again(value):
    """Through text and back."""
    arrays = []
    return restored(json.loads(json.dumps(described(value, arrays, "f"))), arrays, {})


def saved(folder, effects=None, **draws):
    path = folder / "fit.nc"
    coefficients = np.random.default_rng(1).normal(size=(2, 5, 8))
    po.save(
        path, effect() if effects is None else effects, {"f.coefficients": coefficients, **draws}
    )
    return path


def same(first, second):
    mine, theirs = jax.tree.flatten(first), jax.tree.flatten(second)
    assert mine[1] == theirs[1]
    for a, b in zip(mine[0], theirs[0], strict=True):
        np.testing.assert_array_equal(a, b, strict=isinstance(a, np.ndarray))


@jax.jit
def draw(effect, key):
    """All sites; one program for effects that have the same structure."""
    with numpyro.handlers.seed(rng_seed=key), numpyro.handlers.trace() as trace:
        effect.sample()
    return {name: site["value"] for name, site in trace.items()}


@pytest.mark.parametrize("case", CASES)
def test_every_basis_survives(case):
    basis = again(case.basis)
    assert type(basis) is type(case.basis)
    same(basis, case.basis)


@pytest.mark.parametrize("copy", [again, lambda f: pickle.loads(pickle.dumps(f))])
@pytest.mark.parametrize("prior", ["default", "fixed", "curve", "folded", "transformed"])
def test_an_effect_that_survives_draws_the_same(prior, copy):
    original = effect(prior)
    kept = copy(original)
    own, theirs = (draw(f, jax.random.key(0)) for f in (original, kept))
    assert own.keys() == theirs.keys()
    for name, value in own.items():
        np.testing.assert_array_equal(theirs[name], value)


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_survives(prior):
    # The curves of these two are never negative.
    shapes = prior in ("simplex", "positive")
    basis = ns.MSplineBasis(BASIS.knots[3:-3]) if shapes else BASIS
    original = effect(prior, basis=basis)
    kept = again(original)
    assert type(kept.prior) is type(original.prior)
    mine, theirs = jax.tree.leaves(original), jax.tree.leaves(kept)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


C = ns.components
CURVE = ns.CurveMargin(BASIS, measure=X)
BOYS = ns.GroupMargin(["a", "b", "c"], correlated=True)
SEVERAL = {
    "anova": ({"x": CURVE, "z": ns.CurveMargin(BASIS)}, C.FunctionalAnova()),
    "full": ({"x": CURVE, "z": ns.CurveMargin(BASIS)}, C.FullTensor()),
    "custom": ({"x": CURVE, "z": CURVE}, C.Custom(C.Component("x", {"x": "modes"}))),
    "space": ({"place": ns.SurfaceMargin(BASIS, BASIS, num_modes=3)}, C.Interaction(C.Product())),
    "groups": ({"x": CURVE, "boy": ns.GroupMargin(["a", "b", "c"])}, C.BlockTensor()),
    "correlated": ({"x": CURVE, "z": CURVE, "boy": BOYS}, C.FunctionalAnova()),
    "areas": ({"area": ns.GraphMargin([(1, 2), (2, 3)], mixing=0.5)}, C.FunctionalAnova()),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_every_effect_of_several_inputs_survives(case):
    margins, components = SEVERAL[case]
    original = ns.TensorEffect("f", components=components, **margins)
    # All that is not an array is in the structure: names, levels, rules.
    same(again(original), original)


def test_a_file_gives_the_same_predictions(x64, tmp_path):
    g = effect("monotone", "g")
    weights = np.random.default_rng(2).normal(size=(2, 5, 3, 8)).astype(np.float32)
    path = saved(tmp_path, [effect(), g], **{"g.coefficients": weights, "n": np.ones((2, 5), int)})
    effects, draws = po.load(path)
    assert list(effects) == ["f", "g"]
    assert draws["g.coefficients"].dtype == np.float32
    for original in (effect(), g):
        now = po.values(po.curve(effects[original.name], draws), GRID)
        before = effects[original.name].basis.curve(draws[f"{original.name}.coefficients"])(GRID)
        np.testing.assert_array_equal(now, before)
        np.testing.assert_array_equal(original.curve(draws)(GRID), before)
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_another_process_predicts_the_same(x64, tmp_path):
    path = saved(tmp_path)
    expected = effect().curve(po.load(path).draws)(GRID)
    script = f"""
import jax, numpy as np
from numpyro_splines import posterior as po
from numpyro_splines.effects import AbstractEffect
from numpyro_splines.functions.axes import AbstractAxis
from numpyro_splines.margins import AbstractMargin
jax.config.update("jax_enable_x64", True)
effects, draws = po.load({str(path)!r})
print(np.asarray(effects["f"].curve(draws)(np.linspace(-0.3, 1.2, 50))).tobytes().hex())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert bytes.fromhex(done.stdout.strip()) == np.asarray(expected).tobytes()


KEPT = Path(__file__).parent / "kept.nc"


def kept():
    """Effects and draws of tests/kept.nc; `po.save(KEPT, *kept())` writes it for a new format."""
    points = [0.0, 0.1, 0.35, 0.5, 0.8, 1.0]
    linear, pen = ns.extrapolation.Linear(), ns.penalties
    plain = ns.SmoothnessPrior(linear=dist.Normal(2.0, 3.0))
    walk = ns.RandomWalkPrior(1, scale=ns.scales.inverse_gamma_variance(1.0, 0.1))
    shrunk = ns.SmoothnessPrior(scale=ns.scales.half_student_t(), penalty=pen.Shrunk(walk.penalty))
    rising = ns.MonotonePrior(rise=dist.LogNormal(0.5, 2.0))
    effects = [
        ns.SplineEffect("bspline", ns.BSplineBasis(points, degree=4), plain, measure=X),
        ns.SplineEffect("natural", ns.NaturalBasis(points), shrunk, measure=X),
        ns.SplineEffect("cyclic", ns.CyclicBasis(points), walk),
        ns.SplineEffect("rising", ns.ISplineBasis(points, extrapolation=linear), rising),
    ]
    return effects, xr.load_dataset(KEPT, group="posterior", engine="h5netcdf")


# Predictions of tests/kept.nc where its draws were made, with Python 3.11 and JAX 0.10: values,
# slopes and integrals of a quartic B-spline, a natural, a cyclic and a monotone effect. Integrals
# are sums made on the host, since the engine has a NumPy branch: before, XLA chose their order.
PREDICTED = {
    "bspline": "662211b487d18442",
    "natural": "8e5fe4018af296ab",
    "cyclic": "559feb56ad176b1b",
    "rising": "0085383d5ac512fa",
}


@pytest.mark.parametrize("name", PREDICTED)
def test_a_file_of_another_version_predicts_the_same_to_the_last_bit(x64, name):
    effects, draws = po.load(KEPT)
    f = po.curve(effects[name], draws)
    numbers = [po.values(f, GRID), po.values(f, GRID, derivative=1), po.integral(f, 0.1, 0.77)]
    hashed = hashlib.sha256(b"".join(part.values.tobytes() for part in numbers))
    assert hashed.hexdigest()[:16] == PREDICTED[name]


def test_a_file_of_another_version_has_the_effects_that_were_saved():
    """Also of another process: distributions know their parameters by name."""
    for original in kept()[0]:
        found = po.load(KEPT).effects[original.name]
        # Eigenvectors are good to the last bits only.
        close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)
        assert jax.tree.leaves(jax.tree.map(close, found, original)) == []
    linear = po.load(KEPT).effects["bspline"].prior.linear
    assert (linear.loc, linear.scale) == (2.0, 3.0)


KEPT_SEVERAL = KEPT.with_name("kept_several.nc")


def kept_several():
    """Of tests/kept_several.nc, whose draws are `draws_of_several`; written as `kept`."""
    z = np.random.default_rng(5).uniform(size=40)
    boys = ns.GroupMargin(["Ann", "Bob", "Tom"] * 13 + ["Tom"], correlated=2.0)
    curve, line = CURVE, ns.CurveMargin(ns.CyclicBasis([0.0, 0.2, 0.6, 1.0]), 1, measure=z)
    small = ns.BSplineBasis([0.0, 0.4, 1.0])
    place = ns.SurfaceMargin(small, small, measure=(X, z))
    map_ = ns.GraphMargin([("a", "b"), ("b", "c"), ("c", "d")], mixing=0.5)
    return [
        ns.TensorEffect("anova", x=curve, z=line, noise=0.5, scales={"x:z": dist.Gamma(2.0, 3.0)}),
        ns.TensorEffect("full", x=curve, z=line, components=C.FullTensor(), linear=FLAT),
        ns.TensorEffect("growth", x=curve, boy=boys, linear=2.0),
        ns.TensorEffect("space", place=place),
        ns.TensorEffect("trend", x=curve, area=map_),
    ]


def draws_of_several():
    rng = np.random.default_rng(6)
    return {
        effect.site("coefficients"): rng.normal(size=(2, 3, *effect.coefficient_shape))
        for effect in kept_several()
    }


# Mean and mean square of predictions where the file was made, with Python 3.11 and JAX 0.10. Sums
# over products are not the same to the last bit with every BLAS.
PREDICTED_SEVERAL = {
    "anova": [-0.026083609434793684, 0.2919081955181854],
    "full": [0.025248229816323155, 0.3755506881490727],
    "growth": [-0.08878462176988872, 0.7361981788813489],
    "space": [-0.022025371257631477, 0.37319410696482413],
    "trend": [0.051252797631115656, 0.48016339442751],
}


@pytest.mark.parametrize("name", list(PREDICTED_SEVERAL))
def test_a_file_of_another_version_has_the_effects_of_several_inputs(x64, name):
    effects, draws = po.load(KEPT_SEVERAL)
    (original,) = (effect for effect in kept_several() if effect.name == name)
    close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)
    assert jax.tree.leaves(jax.tree.map(close, effects[name], original)) == []
    found = po.values(po.surface(effects[name], draws), num_points=7).values
    np.testing.assert_allclose(
        [found.mean(), (found**2).mean()], PREDICTED_SEVERAL[name], rtol=1e-12
    )


@pytest.mark.filterwarnings("ignore")
def test_the_draws_are_a_posterior_for_arviz(tmp_path):
    path = saved(tmp_path)
    data = az.from_netcdf(path)
    assert data.posterior.sizes["chain"] == 2
    assert "f.coefficients" in data.posterior


def test_a_basis_of_ones_own_is_given_to_load(tmp_path):
    f = ns.SplineEffect("f", Fourier(np.arange(1.0, 5.0)), ns.SmoothnessPrior(order=1))
    path = saved(tmp_path, f)
    with pytest.raises(ValueError, match=r"cannot be made: the class .*Fourier is unknown here"):
        po.load(path)
    kept = po.load(path, classes=[Fourier])
    np.testing.assert_array_equal(
        kept.effects["f"].curve(kept.draws)(GRID), f.curve(kept.draws)(GRID)
    )


def changed(path, change):
    with h5netcdf.File(path, "a") as file:
        change(file)
    return path


@pytest.mark.parametrize(
    ("version", "advice"), [(1, "Versions before the first release"), (3, "Update")]
)
def test_a_file_of_another_format_is_refused(version, advice, tmp_path):
    def change(file):
        file["numpyro_splines"].attrs["format_version"] = version

    path = changed(saved(tmp_path), change)
    with pytest.raises(ValueError, match=rf"of format 2; .* has format {version}\. {advice}"):
        po.load(path)


@pytest.mark.parametrize("name", ["posterior/f.coefficients", "numpyro_splines/array_0"])
def test_a_changed_number_is_noticed(name, tmp_path):
    def change(file):
        file[name][...] = file[name][...] + 1e-9

    with pytest.raises(ValueError, match="`path` must not be damaged; the contents"):
        po.load(changed(saved(tmp_path), change))


def test_a_class_of_another_package_is_not_imported(tmp_path):
    for kind in (
        "subprocess.Popen",
        "numpyro_splines.posterior.draws.dataset",
        "distributions.util",
        "distributions.np",
        "numpyro.distributions.distribution.lazy_property",
        "numpyro.distributions.nothing.Normal",
    ):
        with pytest.raises(ValueError, match=rf"the class {kind} is unknown here"):
            restored({"kind": kind, "fields": {}}, [], {})
    with pytest.raises(ValueError, match="describes nothing"):
        restored({"what": 1}, [], {})
    for kind in ("Zero", "distributions.Normal"):
        with pytest.raises(ValueError, match=r"has no fields \['a'\]"):
            restored({"kind": kind, "fields": {"a": 1}}, [], {})
    with pytest.raises(ValueError, match=r"has no fields \['__class__'\]"):
        restored({"kind": "constraints.real", "fields": {"__class__": 1}}, [], {})
    with pytest.raises(ValueError, match=r"Derivative of this version needs fields \['order'\]"):
        restored({"kind": "Derivative", "fields": {}}, [], {})


# What files of this format are made of. Another entry needs none, another name or field needs a new
# FORMAT_VERSION.
COMBINED = "spline matrix"
SHAPED = "prior smooth matrix functionals line constant"
MARGIN = "functions variances observed num_observations rows num_constant num_linear"
CORRELATED = "name sites sizes places coordinates"
SMOOTHNESS = "penalty scale linear linear_scale mean"
VOCABULARY = {
    "SplineEffect": "name smooth basis prior",
    "BSplineBasis": "knots extrapolation degree",
    "BernsteinBasis": COMBINED,
    "CSplineBasis": COMBINED,
    "ConstrainedBasis": COMBINED,
    "CubicRegressionBasis": COMBINED,
    "CyclicBasis": COMBINED,
    "CyclicCubicRegressionBasis": COMBINED,
    "CyclicMSplineBasis": COMBINED,
    "ISplineBasis": COMBINED,
    "MSplineBasis": COMBINED,
    "NaturalBasis": COMBINED,
    "Constant": "",
    "Linear": "",
    "NaN": "",
    "Periodic": "",
    "Polynomial": "",
    "Zero": "",
    "AdaptivePrior": "order scale linear local num_local",
    "ConvexPrior": "curvature bend slope smooth",
    "HorseshoePrior": "order scale linear slab",
    "MonotonePrior": "direction rise start finish curvature straight smooth",
    "PositivePrior": "level smooth",
    "RandomWalkPrior": SMOOTHNESS,
    "SimplexPrior": "smooth",
    "SmoothnessPrior": SMOOTHNESS,
    "Derivative": "order",
    "Differences": "order plain",
    "Shrunk": "penalty factor",
    "AdaptiveSmooth": "prior linear matrix local design",
    "ConvexSmooth": SHAPED,
    "GaussianSmooth": (
        "spectrum linear mean scale linear_prior linear_scale mode_coordinates linear_coordinates"
    ),
    "HorseshoeSmooth": "prior linear matrix",
    "MonotoneSmooth": SHAPED,
    "PositiveSmooth": "smooth level sizes",
    "SimplexSmooth": "smooth log_sizes",
    "Spectrum": "polynomials modes standard_deviations",
    "Coordinates": "rotation information score known",
    "Curve": "breakpoints table increment periodic",
    "Combination": "basis coefficients order",
    "SplineTransform": "curve bounded",
    "TensorEffect": "name smooth names components axes",
    "CurveMargin": f"{MARGIN} basis penalty mu spectrum",
    "GraphMargin": f"{MARGIN} levels penalty components mixing",
    "GroupMargin": f"{MARGIN} levels kind correlated",
    "SurfaceMargin": f"{MARGIN} bases mu spectrum",
    "Measure": "points weights num_observations observed",
    "BlockTensor": "full",
    "Component": "name tuples rule",
    "Custom": "components linear",
    "FullTensor": "",
    "FunctionalAnova": "rule",
    "Interaction": "rule",
    "Precision": "",
    "Product": "",
    "Sum": "anisotropy",
    "TensorSmooth": "margins scale_names priors ratios linear_prior blocks correlated position",
    "Block": "site entries sizes profile shared ratios coordinates",
    "CorrelatedLevels": f"{CORRELATED} margin concentration scales entries",
    "CorrelatedAverages": f"{CORRELATED} levels deviation weights",
    "JointCoordinates": "rotation information score",
    "Balanced": "scale anisotropy penalties",
    "Known": "deviation",
    "Scaled": "scale",
    "Separate": "scales penalties",
    "BasisAxis": "name basis order points weights constants",
    "IndexAxis": "name size weights",
    "PolynomialAxis": "name breakpoints functions periodic weights",
    "Surface": "coefficients axes",
}


def test_the_vocabulary_is_frozen():
    transform = WARPED.transforms[0]
    made = {kind: [f.name for f in fields(c)] for kind, c in KINDS.items() if is_dataclass(c)}
    made[kind_of(type(transform))] = list(fields_of(transform))
    made["Measure"] = list(KINDS["Measure"]._fields)
    assert {kind: " ".join(names) for kind, names in made.items()} == VOCABULARY


ABSTRACT = (
    ns.AbstractBasis,
    ns.AbstractPrior,
    ns.AbstractSmooth,
    AbstractEffect,
    ns.Curve,
    ns.Surface,
    AbstractMargin,
    ns.components.AbstractComponents,
    ns.components.AbstractRule,
    ns.components.Component,
    AbstractAxis,
    AbstractProfile,
    Block,
    AbstractCorrelated,
    JointCoordinates,
    ns.penalties.AbstractPenalty,
    ns.extrapolation.AbstractExtrapolation,
)


def descendants(cls):
    return {cls}.union(*(descendants(child) for child in cls.__subclasses__()))


def test_every_class_of_effects_is_in_the_vocabulary():
    found = {cls for cls in set().union(*map(descendants, ABSTRACT)) if ours(cls)}
    assert found <= set(KINDS.values())
    assert [cls for cls in found if kind_of(cls) != cls.__name__] == []


def ours(cls):
    return cls.__module__.startswith("numpyro_splines.") and not cls.__name__.startswith("Abstract")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (dist.HalfNormal(1.0), "distributions.HalfNormal"),
        (dist.Normal(0.0, 1.0).to_event(0), "distributions.Normal"),
        (dist.transforms.PowerTransform(0.5), "transforms.PowerTransform"),
        (dist.transforms.ExpTransform().inv, "numpyro.distributions.transforms._InverseTransform"),
        (dist.constraints.real, "constraints.real"),
        (dist.constraints.positive, "constraints.positive"),
        (dist.constraints.interval(0.0, 2.0), "constraints.interval"),
        (ns.BSplineBasis([0.0, 1.0]), "BSplineBasis"),
        (ns.posterior.Simultaneous(), None),
        (Fourier(np.ones(1)), "test_keep.Fourier"),
    ],
)
def test_kinds_are_public_names(value, kind):
    assert kind_of(type(value)) == kind
    if kind is not None and "." in kind and "Fourier" not in kind:
        assert class_of(kind, {}) is type(value)
        assert type(again(value)) is type(value)


def test_parameters_are_known_by_name():
    """NumPyro's trees have them in the order of a set of strings, which no two processes share."""
    assert described(dist.Normal(2.0, 3.0), [], "f")["fields"] == {
        "loc": 2.0,
        "scale": 3.0,
        "_batch_shape": {"tuple": []},
        "_event_shape": {"tuple": []},
    }


@pytest.mark.parametrize("kept_share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_file_is_refused(kept_share, tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept_share * len(content))])
    with pytest.raises(ValueError, match="`path` must"):
        po.load(path)


def test_other_files_are_refused(tmp_path):
    text, other = tmp_path / "a.txt", tmp_path / "other.nc"
    text.write_text("This is no netCDF file.")
    xr.Dataset({"a": 1.0}).to_netcdf(other, engine="h5netcdf")
    for path in (text, other):
        with pytest.raises(
            ValueError, match=r"`path` must be a file written by save\(\); .* is not"
        ):
            po.load(path)
    with pytest.raises(FileNotFoundError, match=r"`path` must be a file written by save\(\)"):
        po.load(tmp_path / "none.nc")


@pytest.mark.parametrize(
    ("effects", "draws", "error", "message"),
    [
        (BASIS, {}, TypeError, "not iterable|`effects` must be SplineEffects"),
        ([BASIS], {}, TypeError, "`effects` must be SplineEffects or Tensor.*; got BSpline"),
        ([effect(), effect()], {}, ValueError, r"different names; got \['f', 'f'\]"),
        (effect(), {"a/b": np.ones((2, 5))}, ValueError, r"without '/' to be saved; got \['a/b'\]"),
        (
            ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(mean=jnp.sin)),
            {},
            TypeError,
            r"got Partial for f\.prior\.mean\. Give coefficients or a Curve",
        ),
    ],
)
def test_what_cannot_be_saved_is_refused(effects, draws, error, message, tmp_path):
    with pytest.raises(error, match=message):
        saved(tmp_path, effects, **draws)
    assert not list(tmp_path.iterdir())
