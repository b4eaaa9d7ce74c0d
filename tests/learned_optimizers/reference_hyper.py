"""VeLO, Celo and Celo-Adam in float64, one tensor and one feature after the other.

Written from the papers' definitions as plainly as can be, to compare with: decays are
looped over, and nothing is shared with the package.
"""

from typing import Any

import numpy as np

Tree = dict[str, Any]

MOMENTUM = (0.9, 0.99, 0.999)
RMS = 0.999
FRACTIONS = (0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def affine(layer: Tree, x: np.ndarray) -> np.ndarray:
    return x @ np.float64(layer["w"]) + np.float64(layer["b"])


class Losses:
    """Averages of losses over ten horizons."""

    def __init__(self, num_steps: int) -> None:
        self.decays = np.exp(-1 / np.logspace(1, np.log10(num_steps), 10))
        self.means = np.zeros(10)
        self.smallest = np.full(10, 999999999999.0)
        self.count = 0

    def features(self, loss: float) -> np.ndarray:
        weight = 1 - self.decays ** (self.count + 1)
        most = np.max(self.means / weight) if self.count else loss
        loss = min(2 * abs(most), loss)
        self.means = self.decays * self.means + (1 - self.decays) * loss
        self.count += 1
        now = self.means / weight
        self.smallest = np.minimum(self.smallest, now)
        if self.count <= 2:
            return np.zeros(9)
        got = []
        for i in range(9):
            span = max(1e-8, now[i + 1] - self.smallest[i])
            got.append(np.clip((now[i] - self.smallest[i]) / span - 1, -1, 1))
        return np.array(got)


class Recurrent:
    """The LSTM and its layers in front."""

    def __init__(self, theta: Tree, num_rows: int) -> None:
        self.weights = theta["rnn_params"]
        first = theta["lstm_init_state"]
        self.hidden = np.repeat(np.float64(first["hidden"]), num_rows, 0)
        self.cell = np.repeat(np.float64(first["cell"]), num_rows, 0)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        told = np.maximum(affine(self.weights["linear_1"], rows), 0).max(0)
        x = affine(self.weights["linear_2"], rows) + told
        gates = affine(self.weights["rnn/linear"], np.concatenate([x, self.hidden], 1))
        i, g, f, o = np.split(gates, 4, axis=1)
        self.cell = sigmoid(f + 1) * self.cell + sigmoid(i) * np.tanh(g)
        self.hidden = sigmoid(o) * np.tanh(self.cell)
        return self.hidden


class Averages:
    """Averages of the gradients of one tensor."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.m = [np.zeros(shape) for _ in MOMENTUM]
        self.v = np.zeros(shape)
        self.shape = shape
        self.factors: list[Any] = [0.0, 0.0, 0.0]
        order = np.argsort(shape, kind="stable")
        self.axes = (int(order[-1]), int(order[-2])) if len(shape) > 1 else None

    def update(self, g: np.ndarray) -> None:
        s = g**2 + 1e-30
        self.v = RMS * self.v + (1 - RMS) * g**2
        for k, d in enumerate(MOMENTUM):
            self.m[k] = d * self.m[k] + (1 - d) * g
            if self.axes is None:
                self.factors[k] = d * self.factors[k] + (1 - d) * s
                continue
            new = [s.mean(axis, keepdims=True) for axis in self.axes]
            old = self.factors[k] or [0.0, 0.0]
            self.factors[k] = [
                d * a + (1 - d) * b for a, b in zip(old, new, strict=True)
            ]

    def features(self, p: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
        """Return the thirty features, one array each."""
        root = 1 / np.sqrt(self.v + 1e-6)
        rows, cols, of_g, of_m = [], [], [], []
        for k in range(3):
            if self.axes is None:
                row = col = self.factors[k]
                of_g.append(g / np.sqrt(np.maximum(row + 1e-9, 1e-9)))
                of_m.append(self.m[k] / np.sqrt(row))
            else:
                row, col = self.factors[k]
                share = row / (row.mean(self.axes[1], keepdims=True) + 1e-9)
                divisor = np.sqrt(np.maximum(share, 1e-9) * np.maximum(col, 1e-9))
                of_g.append(g / divisor)
                of_m.append(self.m[k] / divisor)
            rows.append(row + np.zeros(self.shape))
            cols.append(col + np.zeros(self.shape))
        return [
            g,
            np.clip(g, -0.1, 0.1),
            p,
            *self.m,
            self.v,
            *(m * root for m in self.m),
            root,
            *of_g,
            g * root,
            *rows,
            *cols,
            *(1 / np.sqrt(row + 1e-8) for row in rows),
            *(1 / np.sqrt(col + 1e-8) for col in cols),
            *of_m,
        ]

    def statistics(self, p: np.ndarray) -> list[float]:
        """Return what VeLO's LSTM reads of the tensor."""
        unit = 1 / np.sqrt(max(1e-9, np.mean(p**2)))
        m, v = [unit * m for m in self.m], unit * self.v
        rank = sum(size > 1 for size in self.shape)

        def size(x: float) -> float:
            return 0.5 * float(np.clip(np.log(1e-8 + abs(10 * x)), -5, 5))

        return [
            size(v.mean()),
            *(float(rank == i) for i in range(5)),
            *(size(x.var()) for x in m),
            *(size(np.mean((v - x.mean()) ** 2)) for x in m),
        ]


def network(weights: list[np.ndarray], features: list[np.ndarray]) -> np.ndarray:
    """Return the three outputs of a network w0, b0, w1, b1, ... for each parameter."""
    x = np.stack([f / np.sqrt(1e-5 + np.mean(f**2)) for f in features], -1)
    for i in range(0, len(weights), 2):
        x = (np.maximum(x, 0) if i else x) @ weights[i] + weights[i + 1]
    return np.moveaxis(x, -1, 0)


class Hyper:
    """VeLO, or Celo where the LSTM has one bank."""

    def __init__(
        self, theta: Tree, params: Tree, num_steps: int, *, celo: bool, ff_mult: float
    ) -> None:
        self.theta, self.celo, self.ff_mult = theta, celo, ff_mult
        self.names = sorted(params)
        self.params = {k: np.float64(params[k]) for k in self.names}
        self.averages = {k: Averages(np.atleast_1d(params[k]).shape) for k in params}
        self.recurrent = Recurrent(theta, len(params))
        self.losses, self.num_steps, self.t = Losses(num_steps), num_steps, 0

    def update(self, grads: Tree, loss: float) -> Tree:
        of_loss = self.losses.features(loss)
        progress = [np.tanh(10 * (self.t / self.num_steps - s)) for s in FRACTIONS]
        rows = []
        for k in self.names:
            of_tensor = self.averages[k].statistics(np.atleast_1d(self.params[k]))
            rows.append([*progress, *of_loss, *([] if self.celo else of_tensor)])
        hidden = self.recurrent(np.array(rows))
        weights = self.theta["rnn_params"]
        sizes = affine(weights["step_size"], hidden)[:, 0]
        controls = affine(weights["rnn_to_controls"], hidden)
        if self.celo:
            sizes = 0.1 * np.exp(sizes)
            controls = np.exp(controls) / np.exp(controls).sum(1, keepdims=True)
        bank = self.theta["ff_mod_stack"]["~"]
        for i, k in enumerate(self.names):
            p = np.atleast_1d(self.params[k])
            g = np.clip(np.atleast_1d(np.float64(grads[k])), -1000, 1000)
            self.averages[k].update(g)

            def mixed(name: str, i: int = i) -> np.ndarray:
                each = zip(controls[i], np.asarray(bank[name], float), strict=True)
                return self.ff_mult * np.mean([c * w for c, w in each], axis=0)

            first = np.concatenate([mixed(f"w0__{j}") for j in range(14)])
            rest = [mixed(name) for name in ("b0", "w1", "b1", "w2", "b2")]
            d, a, _ = network([first, *rest], self.averages[k].features(p, g))
            scale = np.sqrt(np.mean(p**2) + 1e-9)
            new = p - sizes[i] * d * scale * np.exp(0.001 * a) * 0.001
            self.params[k] = new.reshape(np.shape(self.params[k]))
        self.t += 1
        return self.params


class CeloAdam:
    """Adam with the learning rate of an LSTM."""

    def __init__(self, theta: Tree, params: Tree, num_steps: int) -> None:
        self.theta = theta
        self.params = {k: np.float64(p) for k, p in params.items()}
        self.m = {k: np.zeros(p.shape) for k, p in self.params.items()}
        self.v = {k: np.zeros(p.shape) for k, p in self.params.items()}
        self.recurrent = Recurrent(theta, 1)
        self.losses, self.num_steps, self.t = Losses(num_steps), num_steps, 0

    def update(self, grads: Tree, loss: float) -> Tree:
        progress = [np.tanh(10 * (self.t / self.num_steps - s)) for s in FRACTIONS]
        hidden = self.recurrent(np.array([[*progress, *self.losses.features(loss)]]))
        head = affine(self.theta["rnn_params"]["step_size"], hidden)[0, 0]
        self.t += 1
        for k, g in grads.items():
            g = np.clip(np.float64(g), -1000, 1000)
            self.m[k] = 0.9 * self.m[k] + 0.1 * g
            self.v[k] = 0.999 * self.v[k] + 0.001 * g**2
            mean = self.m[k] / (1 - 0.9**self.t)
            root = np.sqrt(self.v[k] / (1 - 0.999**self.t) + 1e-10)
            self.params[k] = self.params[k] - 1e-4 * np.exp(head) * mean / (1e-8 + root)
        return self.params
