"""Costs against arithmetic by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from learned_optimization.tasks.base import Task, get_task_from_name
from learned_optimization.tasks.cost import Cost, cost, loss_flops, num_params
from learned_optimization.tasks.models.convolution import convolve
from learned_optimization.tasks.quadratics import QuadraticTask


def test_perceptron():
    # Two matrix products forward, two for the weights, one for the hidden layer.
    task = get_task_from_name("ImageMLP_FashionMnist8_Relu32")
    forward = 2 * 128 * (64 * 32 + 32 * 10)
    flops = 2 * forward + 2 * 128 * 32 * 10
    assert cost(task) == Cost(65 * 32 + 33 * 10, flops)
    assert loss_flops(task) == forward
    assert num_params(task) == 65 * 32 + 33 * 10


def test_evolution_strategies_only_go_forward():
    task = get_task_from_name("ESWrapped_1pair_ImageMLP_FashionMnist8_Relu32")
    forward = 2 * 128 * (64 * 32 + 32 * 10)
    # At the parameters themselves, and at a pair of others; evaluated, no pair.
    assert cost(task).flops == 3 * forward
    assert loss_flops(task) == forward


def test_unrolled_steps_count_every_time():
    class Unrolled(Task):
        def init(self, key):
            return jnp.eye(6)

        def loss(self, params, key, data):
            def step(x, _):
                return x @ params, None

            return lax.scan(step, jnp.ones((3, 6)), length=7)[0].sum()

    # Forward, and for both factors backward.
    assert cost(Unrolled()).flops == 3 * 7 * 2 * 3 * 6 * 6


def test_convolutions_of_xla_count_too():
    class Convolution(Task):
        def init(self, key):
            return jnp.zeros((3, 3, 2, 5))

        def loss(self, params, key, data):
            return lax.conv_general_dilated(
                jnp.ones((4, 8, 8, 2)),
                params,
                (1, 1),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            ).sum()

    forward = 2 * (4 * 8 * 8 * 5) * (3 * 3 * 2)
    # The gradient of the weights is a convolution as large.
    assert cost(Convolution()).flops == pytest.approx(2 * forward, rel=0.3)


def test_convolutions_count_forward_and_for_both_gradients():
    class Convolution(Task):
        def init(self, key):
            return [jnp.zeros((3, 3, 2, 5)), jnp.zeros((3, 3, 5, 7))]

        def loss(self, params, key, data):
            x = convolve(jnp.ones((4, 9, 9, 2)), params[0], 2)
            return convolve(x, params[1]).sum()

    first, second = 2 * (4 * 5 * 5 * 5) * (9 * 2), 2 * (4 * 5 * 5 * 7) * (9 * 5)
    # The first image is no parameter.
    found = cost(Convolution())
    assert found.flops == found.convolution_flops == 2 * first + 3 * second


def test_no_matrix_products_cost_nothing():
    assert cost(QuadraticTask()).flops == 0


def test_matrix_products_are_no_convolutions():
    class Both(Task):
        def init(self, key):
            return jnp.zeros((3, 3, 2, 5)), jnp.zeros((5, 3))

        def loss(self, params, key, data):
            return (convolve(jnp.ones((4, 9, 9, 2)), params[0]) @ params[1]).sum()

    convolution, product = 2 * (4 * 9 * 9 * 5) * (9 * 2), 2 * (4 * 9 * 9 * 3) * 5
    found = cost(Both())
    assert found.convolution_flops == 2 * convolution
    assert found.flops == 2 * convolution + 3 * product


def test_a_loop_of_unknown_length_is_refused():
    class Loop(Task):
        def init(self, key):
            return jnp.ones(3)

        def loss(self, params, key, data):
            stopped = lax.stop_gradient(params)
            return (
                params.sum()
                + lax.while_loop(lambda x: x.sum() < 10, lambda x: 2 * x, stopped).sum()
            )

    with pytest.raises(NotImplementedError, match="'while'"):
        cost(Loop())
    assert num_params(Loop()) == 3
    assert jax.jit(Loop().loss)(jnp.ones(3), None, None) > 0
