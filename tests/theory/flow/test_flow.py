import doctest
import inspect

import pytest

from rfcollapse.theory import flow


@pytest.mark.parametrize("name", flow.__all__)
def test_the_door_opens_on_names_with_an_example(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(flow, name), name, module=False)
    assert example.examples and doctest.DocTestRunner().run(example).failed == 0


def test_the_signatures_others_rely_on():
    def names(function):
        return [*inspect.signature(function).parameters]

    scheme = ["real_fraction", "ridge", "initial_variance", "anchor_variance", "diffusion"]
    assert names(flow.velocity_gain) == ["time", "variance"]
    assert names(flow.euler_gain) == names(flow.heun_gain) == names(flow.best_grid) == ["variance", "steps"]
    assert names(flow.self_consuming_rate)[:2] == names(flow.self_consuming_rate_asymptotic) == ["variance", "steps"]
    assert names(flow.self_consuming_trajectory)[:4] == ["variance", "steps", "rounds", "real_fraction"]
    assert names(flow.transport_map) == ["covariance"]
    assert names(flow.balance_map) == ["noise_moment", "data_moment", "cross_moment", "ridge"]
    assert names(flow.scheme_trajectory)[:8] == ["scheme", "real_variance", "rounds", *scheme]
    assert names(flow.scheme_limit) == names(flow.one_step_gain) == ["scheme", "real_variance", *scheme]
    assert names(flow.retention_rule) == ["rate", "real_fraction"]
    assert names(flow.required_fraction_for_rate) == ["rate", "retention"]
