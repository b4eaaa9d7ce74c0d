"""Every optimizer in float64 numpy, written from its paper, knowing nothing of jax.

Each function steps one array: `step(param, grad, state, t, hparams)` with `t`
counted from one and `state` the dictionary the step before left, empty at first.
Where optax departs from the paper its documented behaviour is kept, and said.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = np.ndarray
State = dict[str, Any]
Hparams = SimpleNamespace
Step = tuple[Array, State]


def _norm(x: Array) -> float:
    return math.sqrt(float(np.sum(x * x)))


def _rms(x: Array) -> float:
    return math.sqrt(float(np.mean(x * x)))


def _average(old: Array | float, new: Array, decay: float) -> Array:
    return decay * old + (1 - decay) * new


def with_rate(h: Hparams, rate: float) -> Hparams:
    return Hparams(**{**vars(h), "learning_rate": rate})


def sgd(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Robbins & Monro 1951, "A Stochastic Approximation Method".
    return p - h.learning_rate * g, s


def sgdm(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Polyak 1964, heavy ball, written with a velocity. In optax, as in most programs
    # since, the rate multiplies the velocity: under a schedule it is today's rate.
    velocity = h.momentum * s.get("velocity", 0.0) + g
    return p - h.learning_rate * velocity, {"velocity": velocity}


def _adam_direction(g: Array, s: State, t: int, h: Hparams) -> Step:
    m = _average(s.get("m", 0.0), g, h.beta1)
    v = _average(s.get("v", 0.0), g * g, h.beta2)
    m_hat, v_hat = m / (1 - h.beta1**t), v / (1 - h.beta2**t)
    return m_hat / (np.sqrt(v_hat + h.epsilon_root) + h.epsilon), {"m": m, "v": v}


def _as_adam(h: Hparams) -> Hparams:
    """Return the same hyper-parameters under the names that Adam has for them."""
    names = {"beta1": "b1", "beta2": "b2", "epsilon": "eps", "epsilon_root": "eps_root"}
    return Hparams(**{adams: getattr(h, name) for adams, name in names.items()})


def adam(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Kingma & Ba 2015, arXiv:1412.6980, algorithm 1. The epsilon inside the root
    # is optax's, for differentiating through the step.
    d, s = _adam_direction(g, s, t, h)
    return p - h.learning_rate * d, s


def adam_sqrt_decay_lr(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Vaswani et al. 2017, arXiv:1706.03762, eq. (3), scaled to peak at the rate.
    # Updates are counted from zero, but the first two have the same rate.
    n = max(t - 1, 1)
    rate = h.learning_rate * min(n / 1000, math.sqrt(1000 / n))
    return adam(p, g, s, t, with_rate(h, rate))


def adam_exp_decay_lr(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # No paper: Adam under a rate that falls by 7e-5 of itself after every update.
    return adam(p, g, s, t, with_rate(h, h.learning_rate * (1 - 7e-5) ** (t - 1)))


def piecewise_linear_adam(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # No paper: Adam under rates between points on straight lines.
    return adam(p, g, s, t, with_rate(h, float(np.interp(t - 1, h.times, h.lrs))))


def rmsprop(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Tieleman & Hinton 2012, lecture 6.5, who have neither epsilon nor momentum.
    # optax adds epsilon inside the root, and its momentum gathers steps that the
    # learning rate has scaled already.
    nu = _average(s.get("nu", 0.0), g * g, h.decay)
    step = h.learning_rate * g / np.sqrt(nu + h.epsilon)
    if h.momentum is None:
        return p - step, {"nu": nu}
    velocity = h.momentum * s.get("velocity", 0.0) + step
    # Sutskever et al. 2013, as most programs have it: the velocity after the next.
    step = h.momentum * velocity + step if h.nesterov else velocity
    return p - step, {"nu": nu, "velocity": velocity}


def adabelief(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Zhuang et al. 2020, arXiv:2010.07468, algorithm 2. Its one epsilon is two in
    # optax: the root one joins the running variance at every step.
    m = _average(s.get("m", 0.0), g, h.b1)
    v = _average(s.get("v", 0.0), (g - m) ** 2, h.b2) + h.eps_root
    m_hat, v_hat = m / (1 - h.b1**t), v / (1 - h.b2**t)
    return p - h.learning_rate * m_hat / (np.sqrt(v_hat) + h.eps), {"m": m, "v": v}


def adamw(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2. There the schedule
    # alone multiplies the decay; in optax the whole learning rate does.
    d, s = _adam_direction(g, s, t, _as_adam(h))
    return p - h.learning_rate * (d + h.weight_decay * p), s


def adafactor(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Shazeer & Stern 2018, arXiv:1804.04235, algorithms 4 and 5 (vectors,
    # matrices). The paper has no momentum (optax: an average of the steps, not
    # corrected for its start), no weight decay (optax: not multiplied by the
    # rate) and no decay offset.
    decay = 1 - (t - h.decay_offset) ** -h.decay_rate
    g2 = g * g + h.eps
    if h.factored and g.ndim == 2 and min(g.shape) >= h.min_dim_size_to_factor:
        rows = _average(s.get("rows", 0.0), g2.sum(axis=1), decay)
        columns = _average(s.get("columns", 0.0), g2.sum(axis=0), decay)
        s = {**s, "rows": rows, "columns": columns}
        v = np.outer(rows, columns) / rows.sum()
    else:
        v = _average(s.get("v", 0.0), g2, decay)
        s = {**s, "v": v}
    u = g / np.sqrt(v)
    if h.clipping_threshold is not None:
        u = u / max(1.0, _rms(u) / h.clipping_threshold)
    step = h.learning_rate * u
    if h.multiply_by_parameter_scale:
        step = step * max(1e-3, _rms(p))
    if h.momentum is not None:
        step = _average(s.get("step", 0.0), step, h.momentum)
        s = {**s, "step": step}
    return p - step - (h.weight_decay_rate or 0.0) * p, s


def adagrad(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Duchi et al. 2011, JMLR 12, figure 1. Theirs starts at zero and adds epsilon
    # to the root; optax starts above zero and adds it inside.
    total = s.get("total", h.initial_accumulator_value) + g * g
    root = np.sqrt(total + h.eps)
    # What never had a gradient stays where it is, even with nothing to add.
    step = np.divide(g, root, out=np.zeros_like(g), where=root > 0)
    return p - h.learning_rate * step, {"total": total}


def fromage(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Bernstein et al. 2020, arXiv:2002.03432, algorithm 1. The least norm, which
    # lets a parameter that is all zeros move, is optax's.
    ratio = max(_norm(p), h.min_norm) / max(_norm(g), h.min_norm)
    return (p - h.learning_rate * ratio * g) / math.sqrt(1 + h.learning_rate**2), s


def lamb(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # You et al. 2020, arXiv:1904.00962, algorithm 2, with the identity for phi. A
    # norm of zero makes the ratio one, as in the authors' program.
    d, s = _adam_direction(g, s, t, _as_adam(h))
    d = d + h.weight_decay * p
    norms = _norm(p), _norm(d)
    return p - h.learning_rate * (norms[0] / norms[1] if all(norms) else 1.0) * d, s


def lars(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # You et al. 2017, arXiv:1708.03888, algorithm 1. The paper divides by
    # |g| + decay |w|, optax by |g + decay w| (+ epsilon), or not at all where a
    # norm is zero.
    d = g + h.weight_decay * p
    norms = _norm(p), _norm(d)
    if all(norms):
        d = d * h.trust_coefficient * norms[0] / (norms[1] + h.eps)
    velocity = h.momentum * s.get("velocity", 0.0) + h.learning_rate * d
    step = h.momentum * velocity + h.learning_rate * d if h.nesterov else velocity
    return p - step, {"velocity": velocity}


def radam(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Liu et al. 2020, arXiv:1908.03265, algorithm 2. The paper rectifies from
    # rho > 4 on, optax from a threshold on; the epsilons are Adam's.
    rho_inf = 2 / (1 - h.b2) - 1
    rho = rho_inf - 2 * t * h.b2**t / (1 - h.b2**t)
    d, s = _adam_direction(g, s, t, _as_adam(h))
    if rho < h.threshold:
        return p - h.learning_rate * s["m"] / (1 - h.b1**t), s
    above = (rho - 4) * (rho - 2) * rho_inf
    below = (rho_inf - 4) * (rho_inf - 2) * rho
    return p - h.learning_rate * math.sqrt(above / below) * d, s


def sm3(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Anil et al. 2019, arXiv:1901.11150, SM3-II, covered by the slices of each
    # axis. Averaging (beta2 < 1) and an epsilon inside the root are optax's; its
    # momentum is an average of steps.
    old = s.get("covers", [np.zeros(n) for n in p.shape])
    nu = np.empty_like(p)
    new = [np.zeros(n) for n in p.shape]
    for i in np.ndindex(p.shape):
        least = min(cover[k] for cover, k in zip(old, i, strict=True))
        nu[i] = h.b2 * least + (1.0 if h.b2 == 1 else 1 - h.b2) * g[i] ** 2
        for cover, k in zip(new, i, strict=True):
            cover[k] = max(cover[k], nu[i])
    d = np.where(nu > 0, g / np.sqrt(nu + h.eps), 0.0)
    m = _average(s.get("m", 0.0), d, h.momentum)
    return p - h.learning_rate * m, {"covers": new, "m": m}


def yogi(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Zaheer et al. 2018, NeurIPS, algorithm 2. optax starts both moments at 1e-6
    # and corrects them as Adam does.
    m = _average(s.get("m", 1e-6), g, h.b1)
    v = s.get("v", np.full_like(p, 1e-6))
    v = v - (1 - h.b2) * np.sign(v - g * g) * g * g
    m_hat, v_hat = m / (1 - h.b1**t), v / (1 - h.b2**t)
    return p - h.learning_rate * m_hat / (np.sqrt(v_hat) + h.eps), {"m": m, "v": v}


STEPS = {
    "AdaBelief": adabelief,
    "AdaGrad": adagrad,
    "Adafactor": adafactor,
    "Adam": adam,
    "AdamExpDecayLR": adam_exp_decay_lr,
    "AdamSqrtDecayLR": adam_sqrt_decay_lr,
    "AdamW": adamw,
    "Fromage": fromage,
    "Lamb": lamb,
    "Lars": lars,
    "PiecewiseLinearAdam": piecewise_linear_adam,
    "RAdam": radam,
    "RMSProp": rmsprop,
    "SGD": sgd,
    "SGDM": sgdm,
    "SM3": sm3,
    "Yogi": yogi,
}
