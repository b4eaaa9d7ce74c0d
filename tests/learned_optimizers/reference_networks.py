"""MLPLOpt, RNNMLPLOpt and NNAdam in numpy and float64, written from their description.

As slow and plain as can be, with the features of a parameter in a row. Parameters are a
flat dict. Each function yields the parameters after each update.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

TIMESCALES = np.array([1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5])


def float64(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: float64(value) for key, value in tree.items()}
    return np.asarray(tree, np.float64)


def linear(layer: Any, x: np.ndarray) -> np.ndarray:
    return x @ layer["w"] + layer["b"]


def network(layers: Any, x: np.ndarray) -> np.ndarray:
    for i in range(len(layers)):
        x = linear(layers[f"mlp/~/linear_{i}"], x)
        if i < len(layers) - 1:
            x = np.maximum(x, 0)
    return x


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(
    layer: Any, x: np.ndarray, hidden: np.ndarray, cell: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    i, g, f, o = np.split(linear(layer, np.concatenate([x, hidden], 1)), 4, 1)
    cell = sigmoid(f + 1) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, 1)


def normalized(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(1e-5 + np.mean(x**2, 0))


def alike(row: Any, size: int) -> np.ndarray:
    return np.tile(row, (size, 1))


def mlp_lopt(
    theta: Any,
    params: Arrays,
    grads: Sequence[Arrays],
    exp_mult: float = 1e-3,
    step_mult: float = 1e-3,
) -> Iterator[Arrays]:
    theta, params = float64(theta), float64(params)
    decays = np.array([0.1, 0.5, 0.9, 0.99, 0.999, 0.9999])
    m = {k: np.zeros((p.size, 6)) for k, p in params.items()}
    for t, grad in enumerate(grads):
        for k, p in params.items():
            g = flat(float64(grad[k]))
            m[k] = decays * m[k] + (1 - decays) * g
            read = normalized(np.concatenate([g, flat(p), m[k]], 1))
            time = alike(np.tanh(t / TIMESCALES - 1), p.size)
            d, a = network(theta, np.concatenate([read, time], 1)).T
            params[k] = p - (d * np.exp(a * exp_mult) * step_mult).reshape(p.shape)
        yield dict(params)


def corrected(mean: float, decay: float, count: int) -> float:
    return mean / (1 - decay**count + 1e-8) if count else 0.0


def clipped_log(x: Any) -> Any:
    return np.clip(np.log(1e-8 + np.abs(x)), -5, 5)


def rnn_mlp_lopt(
    theta: Any,
    params: Arrays,
    grads: Sequence[Arrays],
    losses: Sequence[float],
    is_valid: Sequence[bool],
    step_multiplier: float = 1e-3,
    magnitude_rate: float = 1e-3,
    decays: tuple[float, ...] = (0.5, 0.9, 0.99, 0.999, 0.9999),
) -> Iterator[Arrays]:
    theta, params, d = float64(theta), float64(params), np.array(decays)
    keys = sorted(params)
    m = {k: np.zeros((params[k].size, len(d))) for k in keys}
    v = {k: np.zeros((params[k].size, len(d))) for k in keys}
    from_mlp = alike(theta["initial_from_mlp"], len(keys))
    from_lstm = theta["initial_from_lstm"]
    hidden = alike(theta["lstm_init_state"]["hidden"], len(keys))
    cell = alike(theta["lstm_init_state"]["cell"], len(keys))
    mean, var, count, valid, valid_count = 0.0, 0.0, 0, 0.0, 0
    updates, size = 1, 0.01
    for t, (given, loss) in enumerate(zip(grads, losses, strict=True)):
        if is_valid[t]:
            valid, valid_count = 0.95 * valid + 0.05 * loss, valid_count + 1
            yield dict(params)
            continue
        mean = 0.9 * mean + 0.1 * loss
        var = 0.9 * var + 0.1 * (mean - loss) ** 2
        count += 1

        losses_read = [
            np.clip(
                (x - corrected(mean, 0.9, count))
                / np.sqrt(corrected(var, 0.9, count) + 1e-8),
                -5,
                5,
            )
            for x in (loss, corrected(valid, 0.95, valid_count))
        ]
        bound = 10 * size / (1 - 0.99**updates)
        grad = {k: flat(np.clip(float64(given[k]), -bound, bound)) for k in keys}
        squares = np.mean([np.mean(g**2) for g in grad.values()])
        size, updates = 0.99 * size + 0.01 * np.sqrt(1e-8 + squares), updates + 1

        rows = []
        for i, k in enumerate(keys):
            m[k] = d * m[k] + (1 - d) * grad[k]
            v[k] = d * v[k] + (1 - d) * grad[k] ** 2
            p = params[k]
            shape = (*p.shape, 1, 1, 1, 1)[:4]
            row = [*from_lstm, *from_mlp[i]]
            row += [clipped_log(np.linalg.norm(grad[k])), 1 if p.ndim == 0 else -1]
            for x in (m[k], v[k], p):
                row += [clipped_log(x.mean()), np.sign(x.mean())]
            row += [clipped_log(np.linalg.norm(p)), *(np.log(shape) - 1), *losses_read]
            row += [clipped_log(x.var()) for x in (m[k], v[k], p)]
            rows.append(row)
        layer = theta["rnn_params"]["rnn/linear"]
        hidden, cell = lstm(layer, np.array(rows), hidden, cell)
        from_lstm = linear(theta["rnn_to_in_params"]["rnn_to_in"], hidden).mean(0)
        told = linear(theta["rnn_to_ff_params"]["rnn_to_ff"], hidden)

        said = []
        for i, k in enumerate(keys):
            p = flat(params[k])
            root = 1 / np.sqrt(v[k] + 1e-6)
            size_of_p = np.log(np.abs(p) + 1e-8)
            read = [grad[k], p, size_of_p, m[k], v[k], m[k] * root, root]
            same = [
                *np.sin(t / (TIMESCALES * np.pi)),
                np.log(len(keys)) - 1,
                np.log(np.linalg.norm(p) + 1e-8),
                np.log(p.size),
                *told[i],
            ]
            inputs = [normalized(np.concatenate(read, 1)), alike(same, p.size)]
            out = network(theta["ffmod_params"], np.concatenate(inputs, 1))
            step = out[:, 0] * np.exp(out[:, 1] * magnitude_rate) * step_multiplier
            params[k] = params[k] - step.reshape(params[k].shape)
            said.append(out[:, 2:].mean(0))
        from_mlp = np.array(said)
        yield dict(params)


NAMES = ("lr", "beta1", "beta2", "epsilon")
RANGES = {"lr": (1e-8, 1e3), "epsilon": (1e-11, 1e4)}


def value_of(name: str, x: float) -> float:
    if name in RANGES:
        return float(np.clip(np.exp(10 * x), *RANGES[name]))
    return float(1 - np.exp(np.clip(10 * x, -10, 0)))


def held_of(name: str, value: float) -> float:
    return float(0.1 * np.log(value if name in RANGES else 1 - value))


def nn_adam(
    theta: Any,
    params: Arrays,
    grads: Sequence[Arrays],
    output_scale: float = 0.01,
    decay_strength: float = 0.0,
) -> Iterator[Arrays]:
    theta, params = float64(theta), float64(params)
    keys = sorted(params)
    m = {k: np.zeros_like(params[k]) for k in keys}
    v = {k: np.zeros_like(params[k]) for k in keys}
    learned = {name: float(theta[f"per_layer_{name}"]) for name in NAMES}
    held = {k: dict(learned) for k in keys}
    hidden = alike(theta["lstm_init_state"]["hidden"], len(keys))
    cell = alike(theta["lstm_init_state"]["cell"], len(keys))

    def log(x: Any) -> Any:
        return 0.5 * clipped_log(x)

    for grad in grads:
        rows = []
        for k in keys:
            p, g = params[k], np.clip(float64(grad[k]), -1000, 1000)
            lr, b1, b2, eps = (value_of(name, held[k][name]) for name in NAMES)
            m[k] = b1 * m[k] + (1 - b1) * g
            v[k] = b2 * v[k] + (1 - b2) * g**2
            near = {name: 0.2 * np.clip(x, -5, 5) for name, x in held[k].items()}
            row = [near["beta1"], near["beta2"], near["epsilon"]]
            row += [1 if p.ndim == 1 else -1, 1 if p.ndim == 0 else -1, near["lr"]]
            row += [log(g.mean()), np.sign(g.mean()), log(np.abs(g).mean())]
            for x in (m[k], p, v[k]):
                row += [log(x.mean()), np.sign(x.mean())]
            row += [log(x.var()) for x in (g, m[k], p, v[k])]
            rows.append(row)
            params[k] = p - lr * (1 + eps) / (eps + np.sqrt(v[k] + 1e-10)) * m[k]
        layer = theta["rnn_params"]["rnn/linear"]
        hidden, cell = lstm(layer, np.array(rows), hidden, cell)
        moved = linear(theta["rnn_to_controls_params"]["rnn_to_controls"], hidden)
        for k, by in zip(keys, output_scale * moved, strict=True):
            for name, change in zip(NAMES, by, strict=True):
                x = held[k][name] + change
                x -= decay_strength * (x - learned[name])
                held[k][name] = held_of(name, value_of(name, x))
        yield dict(params)
