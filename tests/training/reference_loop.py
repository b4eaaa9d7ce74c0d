"""The engine's contract as a plain Python loop: one step, one call."""

import jax
import numpy as np

from learned_optimization.tasks.datasets.streams import EpochStream

SPLITS = ("train", "outer_valid", "test")
INIT, OPT_INIT, LOSS, UPDATE, EVAL, FINAL = range(6)


def training_curves(task, opt, num_steps, key, eval_every, eval_batches, last):
    """One trial, step by step; same arguments and result as the engine's."""

    def stream(number, split):
        if task.datasets is None:
            return None
        words = np.asarray(jax.random.key_data(key)).tolist()
        return EpochStream([*words, number], task.datasets.load().splits[split])

    def batch(source):
        if source is None:
            return None
        indices = source.take(task.datasets.batch_size)
        return task.datasets.load().take(indices)

    train = stream(0, "train")
    evals = {split: stream(i + 1, split) for i, split in enumerate(SPLITS)}
    fold = jax.random.fold_in

    evaluate = jax.jit(task.loss_with_state_and_aux)
    grad_fn = jax.jit(jax.value_and_grad(task.loss_with_state, has_aux=True))

    @jax.jit
    def update(opt_state, grad, inputs, **kwargs):
        if "loss_fn" in opt.needs:
            kwargs["loss_fn"] = lambda params: task.loss_with_state(params, *inputs)[0]
        return opt.update(opt_state, grad, **kwargs)

    params, state = task.init_with_state(fold(key, INIT))
    opt_state = opt.init(
        params, model_state=state, num_steps=num_steps, key=fold(key, OPT_INIT)
    )
    curves: dict[str, list] = {"train/xs": [], "train/loss": [], "eval/xs": []}
    for step in range(num_steps + 1):
        if step % eval_every == 0:
            curves["eval/xs"].append(step)
            params, state = opt.get_eval_params(opt_state), opt.get_state(opt_state)
            step_key = fold(fold(key, EVAL), step)
            sums: dict[str, list] = {}
            for b in range(last if step == num_steps else eval_batches):
                keys = jax.random.split(fold(step_key, b), len(SPLITS))
                for split, split_key in zip(SPLITS, keys, strict=True):
                    loss, _, aux = evaluate(
                        params, state, split_key, batch(evals[split])
                    )
                    metrics = {
                        "loss": loss,
                        "loss_normalized": task.normalizer(loss),
                        **aux,
                    }
                    for name, value in metrics.items():
                        sums.setdefault(f"eval/{split}/{name}", []).append(float(value))
            for name, values in sums.items():
                curves.setdefault(name, []).append(np.mean(values))
        params, state = opt.get_params_state(opt_state)
        inputs = (state, fold(fold(key, LOSS), step), batch(train))
        (loss, state), grad = grad_fn(params, *inputs)
        opt_state = update(
            opt_state,
            grad,
            loss=loss,
            model_state=state,
            key=fold(fold(key, UPDATE), step),
            inputs=inputs,
        )
        curves["train/xs"].append(step)
        curves["train/loss"].append(float(loss))
    curves.update(_final(task, opt, opt_state, fold(key, FINAL)))
    return {name: np.asarray(values) for name, values in curves.items()}


def _final(task, opt, opt_state, key):
    """Each whole split at the last parameters, or 20,000 examples of it."""
    if task.datasets is None:
        return {}
    params, state = opt.get_eval_params(opt_state), opt.get_state(opt_state)
    data, final, number = task.datasets.load(), {}, 0
    ends = [data.splits[split] for split in SPLITS]
    lengths = [min(stop - start, 20_000) for start, stop in ends]
    # The largest batches that leave no rest of any split.
    size = max(
        n
        for n in range(1, task.datasets.batch_size + 1)
        if np.gcd.reduce(lengths) % n == 0
    )
    for i, split in enumerate(SPLITS):
        rows = EpochStream([20_000, i], data.splits[split]).take(lengths[i])
        sums: dict[str, list] = {}
        for batch in rows.reshape(-1, size):
            batch_key = jax.random.fold_in(key, number)
            loss, _, aux = task.loss_with_state_and_aux(
                params, state, batch_key, data.take(batch)
            )
            for name, value in {"loss": loss, **aux}.items():
                sums.setdefault(f"final/{split}/{name}", []).append(float(value))
            number += 1
        final |= {name: np.mean(values) for name, values in sums.items()}
        loss = final[f"final/{split}/loss"]
        final[f"final/{split}/loss_normalized"] = task.normalizer(loss)
        final[f"final/num_examples/{split}"] = lengths[i]
    return final
