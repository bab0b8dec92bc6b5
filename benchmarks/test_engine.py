"""Value and gradient in (x, coefficients): ours, the textbook's, SciPy's; `make bench`."""

import jax
import pytest
from baselines import contestants, data, value_and_gradient

# At n = 1e6 and K = 200 the recursion's matrices need several times 800 MB, so it is left out.
_TOO_LARGE = {("textbook recursion", 1_000_000, 200), ("SciPy callback", 1_000_000, 200)}


@pytest.mark.parametrize("name", list(contestants(20)))
@pytest.mark.parametrize("num_coefficients", [20, 200])
@pytest.mark.parametrize("n", [1_000, 10_000, 100_000, 1_000_000])
def test_value_and_gradient(benchmark, n, num_coefficients, name):
    if (name, n, num_coefficients) in _TOO_LARGE:
        pytest.skip("needs more memory than a small machine has")
    benchmark.group = f"value and gradient, n = {n}, K = {num_coefficients}"
    function = value_and_gradient(contestants(num_coefficients)[name])
    arguments = data(n, num_coefficients)
    jax.block_until_ready(function(*arguments))
    benchmark.pedantic(
        lambda: jax.block_until_ready(function(*arguments)), rounds=10, warmup_rounds=1
    )


def test_print_the_ratios(capsys):
    """The table of the README, measured by interleaved runs."""
    from report import families, ratios

    with capsys.disabled():
        print("\n" + ratios() + "\n\n" + families())
