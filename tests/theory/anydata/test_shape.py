"""Cumulants under a linear denoiser, by the moments of the sum."""

import numpy as np
import pytest
from scipy import integrate, stats

from rfcollapse.theory import anydata, dae


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("resample", [0.0, 0.8])
def test_exponential_data(order, resample):
    """Standardised central moments of w(x + sε) by quadrature, x exponential: they give its skewness and kurtosis."""
    gain, node, weight = 0.6, *np.polynomial.hermite_e.hermegauss(8)

    def central(power):
        def inside(x):
            return stats.expon.pdf(x) * (weight @ (gain * (x - 1 + resample * node)) ** power) / np.sqrt(2 * np.pi)

        return integrate.quad(inside, 0, 80, epsabs=1e-13, limit=200)[0]

    standardised = central(order) / central(2) ** (order / 2) - (3 if order == 4 else 0)
    before = {3: 2.0, 4: 6.0}[order]
    np.testing.assert_allclose(before * anydata.cumulant_factor(1.0, resample, order), standardised, rtol=1e-9)


def test_kurtosis_falls_with_the_square_of_what_is_left():
    variance = np.asarray(dae.trajectory(4.0, 1.0, 5))
    factors = anydata.cumulant_factor(variance[:-1], 1.0, 4)
    np.testing.assert_allclose(np.prod(factors), (variance[-1] / variance[0]) ** 2, rtol=1e-13)


def test_orders_that_say_nothing_are_refused(unchecked):
    with pytest.raises(ValueError, match="order must be at least 3; got 2"):
        anydata.cumulant_factor(1.0, 1.0, 2)
