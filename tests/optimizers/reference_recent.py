"""The optimizers of the last ten years in float64 numpy, from their papers.

`ARRAY_STEPS` are in the form of `reference.py`, one array at a time. `TREE_STEPS`
measure all parameters at once: they step a dictionary of arrays, `step(params,
grads, state, t, hparams)`. Where optax departs from the paper its behaviour is
kept, and said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.optimizers.reference import Array, Hparams, State, Step, _average

Tree = dict[str, Array]
TreeStep = tuple[Tree, State]


def amsgrad(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Reddi et al. 2018, ICLR, algorithm 2. The paper corrects no moment for its
    # start; optax corrects both as Adam does, the second before its maximum.
    m = _average(s.get("m", 0.0), g, h.beta1)
    v = _average(s.get("v", 0.0), g * g, h.beta2)
    most = np.maximum(s.get("most", 0.0), v / (1 - h.beta2**t))
    d = m / (1 - h.beta1**t) / (np.sqrt(most + h.epsilon_root) + h.epsilon)
    return p - h.learning_rate * d, {"m": m, "v": v, "most": most}


def adamax(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Kingma & Ba 2015, arXiv:1412.6980, algorithm 2. The epsilon is optax's.
    m = _average(s.get("m", 0.0), g, h.beta1)
    u = np.maximum(h.beta2 * s.get("u", 0.0), np.abs(g) + h.epsilon)
    return p - h.learning_rate / (1 - h.beta1**t) * m / u, {"m": m, "u": u}


def adan(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Xie et al. 2022, arXiv:2208.06677, algorithm 1, whose betas are one minus
    # these. The averages are corrected for their start, as in the authors' program,
    # and the decay is added to the step, where the paper divides by 1 + rate * decay.
    difference = g - s.get("g", g)
    weight = h.beta2
    m = _average(s.get("m", 0.0), g, h.beta1)
    v = _average(s.get("v", 0.0), difference, h.beta2)
    n = _average(s.get("n", 0.0), (g + weight * difference) ** 2, h.beta3)
    d = m / (1 - h.beta1**t) + weight * v / (1 - h.beta2**t)
    d = d / (np.sqrt(n / (1 - h.beta3**t) + h.epsilon_root) + h.epsilon)
    s = {"g": g, "m": m, "v": v, "n": n}
    return p - h.learning_rate * (d + h.weight_decay * p), s


def ademamix(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Pagliardini et al. 2024, arXiv:2409.03137, algorithm 1, without the warm-up
    # of alpha and beta3. The epsilon inside the root is optax's.
    fast = _average(s.get("fast", 0.0), g, h.beta1)
    slow = _average(s.get("slow", 0.0), g, h.beta3)
    v = _average(s.get("v", 0.0), g * g, h.beta2)
    d = fast / (1 - h.beta1**t) + h.alpha * slow
    d = d / (np.sqrt(v / (1 - h.beta2**t) + h.epsilon_root) + h.epsilon)
    s = {"fast": fast, "slow": slow, "v": v}
    return p - h.learning_rate * (d + h.weight_decay * p), s


def madgrad(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Defazio & Jelassi 2022, JMLR 23, algorithm 1, c = 1 - momentum. The decay is
    # of the loss. As in the authors' program, epsilon joins the rate too.
    g = g + h.weight_decay * p
    start = s.get("start", p)
    weight = (h.learning_rate + h.epsilon) * math.sqrt(t)
    total = s.get("total", 0.0) + weight * g
    squares = s.get("squares", 0.0) + weight * g * g
    z = start - total / (squares ** (1 / 3) + h.epsilon)
    s = {"start": start, "total": total, "squares": squares}
    return _average(p, z, h.momentum), s


def novograd(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Ginsburg et al. 2019, arXiv:1905.11286, algorithm 1, an array for a layer:
    # the first moment is a sum. The epsilon inside the root is optax's.
    squares = float(np.sum(g * g))
    v = squares if t == 1 else h.beta2 * s["v"] + (1 - h.beta2) * squares
    d = g / (math.sqrt(v + h.epsilon_root) + h.epsilon) + h.weight_decay * p
    m = h.beta1 * s.get("m", 0.0) + d
    return p - h.learning_rate * m, {"v": v, "m": m}


def signum(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Bernstein et al. 2018, arXiv:1802.04434, algorithm 2.
    m = _average(s.get("m", 0.0), g, h.momentum)
    return p - h.learning_rate * np.sign(m), {"m": m}


def lion(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Chen et al. 2023, arXiv:2302.06675, algorithm 2.
    m = s.get("m", 0.0)
    d = np.sign(_average(m, g, h.beta1)) + h.weight_decay * p
    return p - h.learning_rate * d, {"m": _average(m, g, h.beta2)}


def nadamw(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Metz et al. 2020, arXiv:2002.11887, appendix; Kingma & Ba's epsilon hat, and
    # the decay under the correction, as the documentation of NAdamW says.
    # The l2 term has the published program's sign, with which its settings were found.
    g = g - h.l2_weight_decay * p
    m = _average(s.get("m", 0.0), g, h.beta1)
    v = _average(s.get("v", 0.0), g * g, h.beta2)
    ahead = _average(m, g, h.beta1) if h.use_nesterov else m
    rate = h.learning_rate * math.sqrt(1 - h.beta2**t) / (1 - h.beta1**t)
    d = ahead / (np.sqrt(v) + h.epsilon) + h.adamw_weight_decay * p
    return p - rate * d, {"m": m, "v": v}


def _corrected(m: Array, g: Array, beta: float, t: int, nesterov: bool) -> Array:
    # Dozat 2016, "Incorporating Nesterov Momentum into Adam", with a constant beta.
    if not nesterov:
        return m / (1 - beta**t)
    return beta * m / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)


def muon(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    # The polynomial acts on the singular values alone, which is how it is written
    # here. optax corrects the momentum as Nadam does, where the authors do not; what
    # is no matrix it steps by AdamW, or Nadam if Muon has Nesterov momentum.
    if p.ndim not in (2, 4):
        m = _average(s.get("m", 0.0), g, h.adam_beta1)
        v = _average(s.get("v", 0.0), g * g, h.adam_beta2)
        d = _corrected(m, g, h.adam_beta1, t, h.nesterov)
        v_hat = v / (1 - h.adam_beta2**t)
        d = d / (np.sqrt(v_hat + h.adam_epsilon_root) + h.epsilon)
        decayed = d + h.adam_weight_decay * p
        return p - h.learning_rate * decayed, {"m": m, "v": v}
    m = _average(s.get("m", 0.0), g, h.momentum)
    d = _corrected(m, g, h.momentum, t, h.nesterov).reshape(-1, p.shape[-1])
    left, sizes, right = np.linalg.svd(d, full_matrices=False)
    sizes = sizes / (np.linalg.norm(d) + h.epsilon)
    for _ in range(h.newton_schulz_steps):
        sizes = 3.4445 * sizes - 4.7750 * sizes**3 + 2.0315 * sizes**5
    fan_in, fan_out = d.shape
    scale = math.sqrt(max(1.0, fan_out / fan_in))
    if h.consistent_rms is not None:
        # Liu et al. 2025, arXiv:2502.16982, section 2.2.
        scale = h.consistent_rms * math.sqrt(max(fan_in, fan_out))
    d = (scale * (left * sizes) @ right).reshape(p.shape)
    return p - h.learning_rate * (d + h.weight_decay * p), {"m": m}


def _averaged(p: Array, d: Array, s: State, h: Hparams) -> Step:
    # Defazio et al. 2024, arXiv:2405.15682, eq. (3)-(5) and algorithm 1; `p` is y.
    # optax weights by the largest rate so far, as the authors' program does, but
    # asks a schedule for the rate of the step after.
    z = s.get("z", p) - h.learning_rate * d
    rate = max(s.get("rate", 0.0), getattr(h, "next_rate", h.learning_rate))
    total = s.get("total", 0.0) + rate**h.weight_lr_power
    share = rate**h.weight_lr_power / total
    x = (1 - share) * s.get("average", p) + share * z
    s = {**s, "z": z, "rate": rate, "total": total, "average": x}
    return (1 - h.beta1) * z + h.beta1 * x, s


def schedule_free_sgd(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    return _averaged(p, g + h.weight_decay * p, s, h)


def schedule_free_adamw(p: Array, g: Array, s: State, t: int, h: Hparams) -> Step:
    # Algorithm 1 corrects the rate for the start of the second moment, and so
    # weights the average by the correction too; optax corrects the moment.
    v = _average(s.get("v", 0.0), g * g, h.beta2)
    d = g / (np.sqrt(v / (1 - h.beta2**t)) + h.epsilon)
    return _averaged(p, d + h.weight_decay * p, {**s, "v": v}, h)


def _dot(a: Tree, b: Tree) -> float:
    return sum(float(np.sum(a[k] * b[k])) for k in a)


def _map(function: Callable[..., Array], *trees: Tree) -> Tree:
    return {k: function(*(tree[k] for tree in trees)) for k in trees[0]}


def _zeros(p: Tree) -> Tree:
    return _map(np.zeros_like, p)


def _adam_correction(h: Hparams, t: int) -> float:
    return math.sqrt(1 - h.beta2**t) / (1 - h.beta1**t)


def prodigy(p: Tree, g: Tree, s: State, t: int, h: Hparams) -> TreeStep:
    # Mishchenko & Defazio 2024, arXiv:2306.06101, algorithm 4. The rate is
    # corrected as Adam's, which the authors' program can do; epsilon is scaled by
    # the estimate after the step, theirs too. The safeguard, which leaves the rate
    # out of the denominator, is of the program.
    start, estimate = s.get("start", p), s.get("estimate", h.initial_estimate)
    beta3 = math.sqrt(h.beta2)
    rate = h.learning_rate * _adam_correction(h, t)
    m = _map(lambda m, g: _average(m, estimate * g, h.beta1), s.get("m", _zeros(p)), g)
    v = _map(
        lambda v, g: _average(v, (estimate * g) ** 2, h.beta2),
        s.get("v", _zeros(p)),
        g,
    )
    way = _dot(g, _map(np.subtract, start, p))
    r = beta3 * s.get("r", 0.0) + (1 - beta3) * rate * estimate**2 * way
    weight = (1 - beta3) * (1.0 if h.safeguard_warmup else rate) * estimate**2
    sums = _map(lambda s, g: beta3 * s + weight * g, s.get("sums", _zeros(p)), g)
    size = sum(float(np.sum(np.abs(x))) for x in sums.values())
    new = max(estimate, h.estimate_coefficient * r / size)
    p = _map(
        lambda p, m, v: (
            p
            - rate
            * estimate
            * (m / (np.sqrt(v) + new * h.epsilon) + h.weight_decay * p)
        ),
        p,
        m,
        v,
    )
    return p, {"start": start, "estimate": new, "m": m, "v": v, "r": r, "sums": sums}


def dadapt_adamw(p: Tree, g: Tree, s: State, t: int, h: Hparams) -> TreeStep:
    # Defazio & Mishchenko 2023, arXiv:2301.07733, algorithm 5. As in the authors'
    # program the rate is corrected as Adam's, and the product is measured by the
    # second moment of the step before.
    estimate, beta3 = s.get("estimate", h.initial_estimate), math.sqrt(h.beta2)
    rate = h.learning_rate * _adam_correction(h, t) * estimate
    m, v, sums = (s.get(k, _zeros(p)) for k in ("m", "v", "sums"))
    measured = _map(lambda s, v: s / (np.sqrt(v) + h.epsilon), sums, v)
    r = beta3 * s.get("r", 0.0) + (1 - beta3) * rate * _dot(g, measured)
    m = _map(lambda m, g: _average(m, rate * g, h.beta1), m, g)
    v = _map(lambda v, g: _average(v, g * g, h.beta2), v, g)
    sums = _map(lambda s, g: _average(s, rate * g, beta3), sums, g)
    size = sum(float(np.sum(np.abs(x))) for x in sums.values())
    new = max(estimate, r / ((1 - beta3) * size))
    p = _map(
        lambda p, m, v: p - m / (np.sqrt(v) + h.epsilon) - rate * h.weight_decay * p,
        p,
        m,
        v,
    )
    return p, {"estimate": new, "m": m, "v": v, "r": r, "sums": sums}


def dog(p: Tree, g: Tree, s: State, t: int, h: Hparams) -> TreeStep:
    # Ivgi et al. 2023, arXiv:2302.12022, eq. (DoG), the initial distance of section
    # 3.3. Decay of the loss, and a rate that multiplies the step, are optax's.
    start = s.get("start", p)
    first = h.initial_distance * (1 + math.sqrt(_dot(start, start)))
    g = _map(lambda g, p: g + (h.weight_decay or 0.0) * p, g, p)
    way = _map(np.subtract, p, start)
    distance = max(s.get("distance", first), math.sqrt(_dot(way, way)))
    total = s.get("total", 0.0) + _dot(g, g)
    rate = h.learning_rate * distance / math.sqrt(total + h.epsilon)
    p = _map(lambda p, g: p - rate * g, p, g)
    return p, {"start": start, "distance": distance, "total": total}


def dowg(p: Tree, g: Tree, s: State, t: int, h: Hparams) -> TreeStep:
    # Khaled et al. 2023, arXiv:2305.16284, algorithm 1. optax starts from a squared
    # distance, and adds an epsilon to the root; the rest as in `dog`.
    start, first = s.get("start", p), h.initial_squared_distance
    first = h.epsilon if first is None else first
    g = _map(lambda g, p: g + (h.weight_decay or 0.0) * p, g, p)
    way = _map(np.subtract, p, start)
    squared = max(s.get("squared", first), _dot(way, way))
    total = s.get("total", 0.0) + squared * _dot(g, g)
    rate = h.learning_rate * squared / (math.sqrt(total) + h.epsilon)
    p = _map(lambda p, g: p - rate * g, p, g)
    return p, {"start": start, "squared": squared, "total": total}


def sophia(p: Tree, g: Tree, s: State, t: int, h: Hparams) -> TreeStep:
    # Liu et al. 2023, arXiv:2305.14342, algorithm 3, with the diagonal of the
    # Hessian in `h.hessian`. optax corrects the momentum for its start and uses an
    # estimate from the step after on; the first step has none, and is clipped.
    m = _map(lambda m, g: _average(m, g, h.beta1), s.get("m", _zeros(p)), g)
    diagonal = s.get("diagonal", _zeros(p))
    bound = math.inf if h.clip_threshold is None else h.clip_threshold

    def stepped(p: Array, m: Array, diagonal: Array) -> Array:
        d = m / (1 - h.beta1**t) / np.maximum(h.gamma * diagonal, h.epsilon)
        return p - h.learning_rate * (np.clip(d, -bound, bound) + h.weight_decay * p)

    p = _map(stepped, p, m, diagonal)
    if (t - 1) % h.update_interval == 0:
        diagonal = _map(lambda d, c: _average(d, c, h.beta2), diagonal, h.hessian)
    return p, {"m": m, "diagonal": diagonal}


def lbfgs(p: Tree, g: Tree, s: State, t: int, h: Hparams) -> TreeStep:
    # Nocedal & Wright 1999, algorithms 7.4 and 7.5 (Liu & Nocedal 1989). The first
    # step, of length one at most, is optax's.
    pairs: list[Any] = list(s.get("pairs", []))
    scale = min(1.0, 1 / math.sqrt(_dot(g, g)))
    if t > 1:
        moved, changed = _map(np.subtract, p, s["p"]), _map(np.subtract, g, s["g"])
        scale = 1.0
        # A rate of zero moves nothing, and teaches nothing.
        if _dot(moved, changed) != 0:
            pairs = [*pairs, (moved, changed, 1 / _dot(moved, changed))]
            pairs = pairs[-h.memory_size :]
            scale = _dot(moved, changed) / _dot(changed, changed)
    d, weights = g, []
    for moved, changed, rho in reversed(pairs):
        weights.append(rho * _dot(moved, d))
        d = _map(lambda d, y, a=weights[-1]: d - a * y, d, changed)
    d = _map(lambda d: scale * d, d)
    for (moved, changed, rho), weight in zip(pairs, reversed(weights), strict=True):
        back = rho * _dot(changed, d)
        d = _map(lambda d, s, a=weight - back: d + a * s, d, moved)
    state = {"p": p, "g": g, "pairs": pairs}
    return _map(lambda p, d: p - h.learning_rate * d, p, d), state


ARRAY_STEPS = {
    "AMSGrad": amsgrad,
    "Adamax": adamax,
    "Adan": adan,
    "AdEMAMix": ademamix,
    "Lion": lion,
    "MADGRAD": madgrad,
    "Muon": muon,
    "NAdamW": nadamw,
    "NovoGrad": novograd,
    "ScheduleFreeAdamW": schedule_free_adamw,
    "ScheduleFreeSGD": schedule_free_sgd,
    "Signum": signum,
}
TREE_STEPS = {
    "DAdaptAdamW": dadapt_adamw,
    "DoG": dog,
    "DoWG": dowg,
    "LBFGS": lbfgs,
    "Prodigy": prodigy,
    "Sophia": sophia,
}
