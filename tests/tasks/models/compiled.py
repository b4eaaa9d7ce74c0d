"""Models called as one program each: one operation at a time compiles far longer."""

from functools import partial

import jax


@partial(jax.jit, static_argnums=0)
def init(model, key, *inputs):
    return model.init(key, *inputs)


@partial(jax.jit, static_argnums=0, static_argnames="mutable")
def apply(model, variables, *inputs, mutable=False):
    return model.apply(variables, *inputs, mutable=mutable)
