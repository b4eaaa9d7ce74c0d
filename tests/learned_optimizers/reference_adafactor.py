"""The Adafactor family in numpy and float64, tensor by tensor, written from the facts.

Arrays are lists of features, each shaped like the parameter; nothing is shared with the
package.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Arrays = list[np.ndarray]

SCALES = (1, 3, 10, 30, 100, 300, 1000, 3000, 1e4, 3e4, 1e5)


def rsqrt(x: np.ndarray) -> np.ndarray:
    return 1 / np.sqrt(x)


def safe_rsqrt(x: np.ndarray) -> np.ndarray:
    return rsqrt(np.maximum(x, 1e-9))


def decay(initial: float, offset: float) -> float:
    """Return a learned decay."""
    return 1 - (1 - initial) * np.exp(10 * np.float64(offset))


class Accumulated:
    """Averages of one tensor's gradients: momenta, second moments, factored ones.

    Attributes:
      corrected: whether averages are divided by `1 - decay^t` where they are read.
    """

    def __init__(
        self,
        shape: Any,
        momentum: Any,
        rms: Any,
        factored: Any,
        corrected: bool = False,
    ) -> None:
        self.decays = [
            np.asarray(momentum, np.float64),
            *(np.clip(np.asarray(d, np.float64), 0, 1) for d in (rms, factored)),
        ]
        self.axes: tuple[int, int] | None = None
        if len(shape) > 1:
            d1, d0 = np.argsort(shape, kind="stable")[-2:]
            self.axes = int(d1), int(d0)
        self.ms: Arrays = [np.zeros(shape) for _ in momentum]
        self.vs: Arrays = [np.zeros(shape) for _ in rms]
        self.rows: Arrays = [np.zeros(self._without(shape, 1)) for _ in factored]
        self.cols: Arrays = [np.zeros(self._without(shape, 0)) for _ in factored]
        self.corrected, self.t = corrected, 0

    def _without(self, shape: Any, which: int) -> Any:
        return shape if self.axes is None else np.delete(shape, self.axes[which])

    def update(self, g: np.ndarray) -> None:
        def average(olds: Arrays, decays: np.ndarray, new: np.ndarray) -> Arrays:
            return [
                d * old + (1 - d) * new for d, old in zip(decays, olds, strict=True)
            ]

        self.t += 1
        momentum, rms, factored = self.decays
        square = g**2 + 1e-30
        self.ms = average(self.ms, momentum, g)
        self.vs = average(self.vs, rms, g**2)
        across_d0 = across_d1 = square
        if self.axes is not None:
            d1, d0 = self.axes
            across_d0, across_d1 = square.mean(d0), square.mean(d1)
        self.rows = average(self.rows, factored, across_d0)
        self.cols = average(self.cols, factored, across_d1)

    def read(self) -> tuple[Arrays, Arrays, Arrays, Arrays]:
        """Return momenta, second moments, rows and columns as features see them."""
        groups = (self.ms, self.vs, self.rows, self.cols)
        if not self.corrected:
            return groups
        decays = (*self.decays, self.decays[2])
        return tuple(  # pyright: ignore[reportReturnType]
            [x / (1 - d**self.t) for x, d in zip(group, ds, strict=True)]
            for group, ds in zip(groups, decays, strict=True)
        )

    def factors(self, rows: Arrays, cols: Arrays) -> Arrays:
        """Return what a matrix's gradient is multiplied with, per decay."""
        assert self.axes is not None
        d1, d0 = self.axes
        r = d1 - 1 if d1 > d0 else d1
        return [
            np.expand_dims(
                safe_rsqrt(row / (row.mean(axis=r, keepdims=True) + 1e-9)), d0
            )
            * np.expand_dims(safe_rsqrt(col), d1)
            for row, col in zip(rows, cols, strict=True)
        ]

    def spread(self, rows: Arrays, cols: Arrays, shape: Any) -> tuple[Arrays, Arrays]:
        """Return rows and columns as arrays of the parameter's shape."""
        if self.axes is None:
            return rows, cols
        d1, d0 = self.axes
        return (
            [np.broadcast_to(np.expand_dims(x, d0), shape) for x in rows],
            [np.broadcast_to(np.expand_dims(x, d1), shape) for x in cols],
        )


def features_28(p: np.ndarray, g: np.ndarray, of: Accumulated) -> Arrays:
    """Return the features of AdafacMLPLOpt and MLPNomLOpt, in order."""
    ms, vs, raw_rows, raw_cols = of.read()
    rows, cols = of.spread(raw_rows, raw_cols, p.shape)
    if of.axes is None:
        fac_g = [g * safe_rsqrt(d + 1e-9) for d in rows]
        fac_m = [m * (d + 1e-6) ** -0.5 for m, d in zip(ms, rows, strict=True)]
    else:
        factors = of.factors(raw_rows, raw_cols)
        fac_g = [g * f for f in factors]
        fac_m = [m * f for m, f in zip(ms, factors, strict=True)]
    (v,) = vs
    return [
        *(g, p, *ms, v),
        *(m * rsqrt(v + 1e-6) for m in ms),
        rsqrt(v + 1e-6),
        *(*fac_g, *rows, *cols),
        *(rsqrt(x + 1e-8) for x in (*rows, *cols)),
        *fac_m,
    ]


def groups_of_celo2(p: np.ndarray, g: np.ndarray, of: Accumulated) -> list[Arrays]:
    """Return the 14 groups of Celo2's features, nine for vectors and scalars."""
    ms, vs, raw_rows, raw_cols = of.read()
    rows, cols = of.spread(raw_rows, raw_cols, p.shape)
    # The preconditioned gradient is not corrected.
    if of.axes is None:
        fac_g = [g * safe_rsqrt(d + 1e-9) for d in of.rows]
    else:
        fac_g = [g * f for f in of.factors(of.rows, of.cols)]
    (v,) = vs
    groups = [
        *([g], [np.clip(g, -0.1, 0.1)], [p], ms, [v]),
        [m * rsqrt(v + 1e-8) for m in ms],
        [rsqrt(v + 1e-8)],
        fac_g,
        [g * rsqrt(v + 1e-8)],
    ]
    if of.axes is not None:
        groups += [
            rows,
            cols,
            [rsqrt(x + 1e-8) for x in rows],
            [rsqrt(x + 1e-8) for x in cols],
            [m * f for m, f in zip(ms, of.factors(raw_rows, raw_cols), strict=True)],
        ]
    return groups


def normalised(x: np.ndarray, axes: Any, eps: float) -> np.ndarray:
    return x * rsqrt(eps + np.mean(x**2, axis=axes, keepdims=True))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def mlp(inputs: Arrays, nn: Any, first: np.ndarray, activation: Any = relu) -> Arrays:
    """Return the outputs of a network, each shaped like an input."""
    hidden = np.stack(inputs, -1) @ np.float64(first) + nn["b0"]
    for i in range(1, sum(name.startswith("b") for name in nn)):
        hidden = activation(hidden) @ np.float64(nn[f"w{i}"]) + nn[f"b{i}"]
    return list(np.moveaxis(hidden, -1, 0))


def adafac_outputs(
    p: np.ndarray, g: np.ndarray, of: Accumulated, t: int, theta: Any
) -> Arrays:
    """Return the outputs of the network of AdafacMLPLOpt and MLPNomLOpt."""
    axes = tuple(range(p.ndim))
    inputs = [normalised(x, axes, 1e-5) for x in features_28(p, g, of)]
    inputs += [np.full(p.shape, np.tanh(t / s - 1)) for s in SCALES]
    nn = theta["nn"]["~"]
    return mlp(inputs, nn, nn["w0"])


def learned_decays(theta: Any) -> tuple[Any, Any, Any]:
    """Return the decays of the default settings under their learned offsets."""
    momentum = (0.9, 0.99, 0.999)
    return (
        [decay(d, o) for d, o in zip(momentum, theta["momentum_decays"], strict=True)],
        [decay(0.999, theta["rms_decays"][0])],
        [decay(d, o) for d, o in zip(momentum, theta["adafactor_decays"], strict=True)],
    )


def newton_schulz(x: np.ndarray) -> np.ndarray:
    tall = x.shape[-2] > x.shape[-1]
    x = np.swapaxes(x, -2, -1) if tall else x
    x = x / (np.sqrt(np.sum(x**2, axis=(-2, -1), keepdims=True)) + 1e-8)
    for _ in range(5):
        gram = x @ np.swapaxes(x, -2, -1)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return np.swapaxes(x, -2, -1) if tall else x


def celo2_direction(
    p: np.ndarray, g: np.ndarray, of: Accumulated, theta: Any, settings: Any
) -> np.ndarray:
    """Return what the learned branch of Celo2 steps by, at a rate of one."""
    axes = tuple(range(p.ndim))[-2:]
    groups = groups_of_celo2(p, g, of)
    nn = theta["ff_mod_stack"]["~"]
    first = np.concatenate([nn[f"w0__{i}"] for i in range(len(groups))])
    inputs = [x for group in groups for x in group]
    if settings.get("normalize_input", True):
        inputs = [normalised(x, axes, 1e-9) for x in inputs]
    activation = np.tanh if settings.get("mlp_activation") == "tanh" else relu
    step, magnitude, _ = mlp(inputs, nn, first, activation=activation)
    if settings.get("aggregate_mag"):
        magnitude = np.mean(magnitude)
    step = step * np.exp(settings.get("exp_mult", 0.0) * magnitude)
    if settings.get("param_scale_mult"):
        step = step * np.sqrt(np.mean(p**2) + 1e-9)
    if settings.get("orthogonalize") and p.ndim > 1:
        step = newton_schulz(step)
    if settings.get("normalize_output", True):
        step = normalised(step, axes, 1e-9)
    step = step * settings.get("rmsmult", 1.0)
    if settings.get("precondition_output"):
        step = step * rsqrt(of.read()[1][-1] + 1e-6)
    return step


def adafac_mlp_lopt(
    theta: Any, params: Any, grads: Any, exp_mult: float, step_mult: float
) -> Iterator[Any]:
    """Yield the parameters after each update of AdafacMLPLOpt."""

    def step(p: Any, g: Any, of: Accumulated, t: int) -> Any:
        d, a = adafac_outputs(p, g, of, t, theta)
        return p - d * np.exp(a * exp_mult) * step_mult

    yield from _steps(step, learned_decays(theta), params, grads)


def mlp_nom_lopt(theta: Any, params: Any, grads: Any, **settings: Any) -> Iterator[Any]:
    """Yield the parameters after each update of MLPNomLOpt."""
    e0, e1, e2 = settings["exp_mult"]

    def step(p: Any, g: Any, of: Accumulated, t: int) -> Any:
        d, a, n, r = adafac_outputs(p, g, of, t, theta)
        n = n if settings.get("nominal_controller") else np.float64(1)
        r = r if settings.get("regularization_controller") else np.float64(0)
        a = np.mean(a) if settings.get("aggregate_magnitude") else a
        n = np.mean(n) if settings.get("aggregate_nom_magnitude") else n
        r = np.mean(r) if settings.get("aggregate_reg_magnitude") else r
        adams = [m / np.sqrt(of.vs[0] + 1e-6) for m in of.ms]
        direction = {
            "SGD": g,
            "SGDM": of.ms[-1],
            "AggMo": np.mean(of.ms, 0),
            "Adam": adams[-1],
            "AdamAggMo": np.mean(adams, 0),
        }[settings["nominal_grad_estimator"]]
        moved = d * np.exp(a * e0) * settings["step_mult"]
        if settings.get("normalize_blackbox"):
            moved = moved / np.sqrt(of.vs[0] + 1e-6)
        if settings.get("selfnormalize_blackbox"):
            moved = moved * np.mean(g)
        kept = 1 - settings["weight_decay"] * np.exp(r * e2)
        nominal = settings["nominal_stepsize"] * np.exp(n * e1) * direction
        return kept * p - moved - nominal

    yield from _steps(step, learned_decays(theta), params, grads)


def celo2(theta: Any, params: Any, grads: Any, **settings: Any) -> Iterator[Any]:
    """Yield the parameters after each update of Celo2; Adam's are named by `adam`."""
    rate, decay = settings["step_mult"], settings["weight_decay"]
    decays = (0.9, 0.99, 0.999), (0.95,), (0.9, 0.99, 0.999)
    adam = settings.get("adam", ())

    def step(p: Any, g: Any, of: Accumulated, t: int) -> Any:
        del t
        return p - rate * (celo2_direction(p, g, of, theta, settings) + decay * p)

    learned = _steps(
        step,
        decays,
        {name: p for name, p in params.items() if name not in adam},
        [{name: np.clip(x, -1000, 1000) for name, x in g.items()} for g in grads],
        corrected=settings.get("bias_correction", False),
    )
    b1, b2, eps = (settings.get(f"adam_{k}") for k in ("b1", "b2", "epsilon"))

    def adam_step(p: Any, g: Any, of: Accumulated, t: int) -> Any:
        del g, t
        (m,), (v,), *_ = of.read()
        size = settings["mult_1d"] * rate
        return p - size * m / np.sqrt(v + eps) - size * decay * p

    by_adam = _steps(
        adam_step,
        ((b1,), (b2,), (0.9,)),
        {name: p for name, p in params.items() if name in adam},
        grads,
        corrected=settings.get("adam_bias_correction", False),
    )
    for one, other in zip(learned, by_adam, strict=True):
        yield {**one, **other}


def _steps(
    step: Callable[..., Any],
    decays: Any,
    params: Any,
    grads: Any,
    corrected: bool = False,
) -> Iterator[Any]:
    """Yield flat dicts of parameters; scalars are stepped as arrays of one."""
    now = {name: np.atleast_1d(np.float64(p)) for name, p in params.items()}
    averages = {
        name: Accumulated(p.shape, *decays, corrected=corrected)
        for name, p in now.items()
    }
    for t, grad in enumerate(grads):
        for name, p in now.items():
            g = np.atleast_1d(np.float64(grad[name]))
            averages[name].update(g)
            now[name] = step(p, g, averages[name], t)
        yield {name: p.reshape(np.shape(params[name])) for name, p in now.items()}
