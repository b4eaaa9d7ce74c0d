"""Settings and meta-parameters of published learned optimizers, by hand."""

import itertools
from typing import Any

Shapes = dict[str, tuple[int, ...]]

_DECAYS: dict[str, Any] = {
    "initial_momentum_decays": (0.9, 0.99, 0.999),
    "initial_rms_decays": (0.999,),
    "initial_adafactor_decays": (0.9, 0.99, 0.999),
}
_WEIGHTS = {
    "concat_weights": True,
    "make_separate_weights": False,
    "split_weights": False,
}
_ABLATIONS = """
with_g with_m with_m_feat with_rms with_rms_feat with_rms_norm_g with_rsqrt_rms with_p
with_fac_norm_g with_fac_rms with_fac_rsqrt with_grad_clip_feat with_fac_mom_mult
with_rms_only_norm_g adafactor_accumulator param_scale_mult
"""

SETTINGS: dict[str, dict[str, Any]] = {
    "LearnableSGD": {"initial_lr": 0.01},
    "LearnableSGDM": {"initial_lr": 0.01, "initial_momentum": 0.9},
    "LearnableAdam": {
        "initial_lr": 1e-3,
        "initial_beta1": 0.9,
        "initial_beta2": 0.999,
        "initial_epsilon": 1e-8,
        "use_summary": True,
    },
    "MLPLOpt": {
        "exp_mult": 1e-3,
        "step_mult": 1e-3,
        "hidden_size": 32,
        "hidden_layers": 2,
        "compute_summary": True,
    },
    "AdafacMLPLOpt": {
        "exp_mult": 1e-3,
        "step_mult": 1e-3,
        "hidden_size": 4,
        "hidden_layers": 2,
        **_DECAYS,
        **_WEIGHTS,
    },
    "MLPNomLOpt": {
        "exp_mult": (1e-3, 1e-3, 1e-3),
        "step_mult": 1e-3,
        "hidden_size": 4,
        "hidden_layers": 2,
        **_DECAYS,
        "nominal_stepsize": 0.0,
        "weight_decay": 0.0,
        **_WEIGHTS,
        "nominal_controller": False,
        "regularization_controller": False,
        "nominal_grad_estimator": "AdamAggMo",
        "aggregate_magnitude": False,
        "aggregate_nom_magnitude": False,
        "aggregate_reg_magnitude": False,
        "normalize_blackbox": False,
        "selfnormalize_blackbox": False,
    },
    "RNNMLPLOpt": {
        "step_multiplier": 1e-3,
        "magnitude_rate": 1e-3,
        "hidden_size": 32,
        "hidden_layer": 2,
        "from_mlp_size": 16,
        "from_lstm_size": 18,
        "lstm_to_ff": 17,
        "lstm_hidden_size": 64,
        "decays": (0.5, 0.9, 0.99, 0.999, 0.9999),
    },
    "NNAdam": {
        "output_scale": 0.01,
        "initial_learning_rate": 1e-4,
        "initial_beta1": 0.9,
        "initial_beta2": 0.999,
        "initial_epsilon": 1e-8,
        "decay_strength": 0.0,
        "lstm_hidden_size": 32,
    },
    "HyperV2": {
        "lstm_hidden_size": 128,
        "ff_hidden_size": 4,
        "ff_hidden_layers": 2,
        **_DECAYS,
        "param_inits": 64,
        "mix_layers": True,
        "exp_mult": 1e-3,
        "step_mult": 1e-3,
        "validation_mode": False,
        "with_validation_feature_dim": False,
        **dict.fromkeys(_ABLATIONS.split(), True),
        "use_bugged_next_lstm_state": False,
        "use_bugged_loss_features": True,
        "precondition_output": False,
        "reparam_decay": 10.0,
        "rnn_state_decay": 0.0,
        "summarize_each_layer": False,
        "summarize_all_control": False,
        "constant_loss": False,
        "clip_param_scale_amount": None,
    },
}
"""Settings of each class in their order, with their defaults."""


def _linear(name: str, num_inputs: int, num_outputs: int) -> Shapes:
    return {f"{name}|w": (num_inputs, num_outputs), f"{name}|b": (num_outputs,)}


def _mlp(prefix: str, *sizes: int) -> Shapes:
    layers: Shapes = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layers |= _linear(f"{prefix}mlp/~/linear_{i}", inputs, outputs)
    return layers


def _lstm(inputs: int, size: int) -> Shapes:
    return {
        "lstm_init_state|hidden": (1, size),
        "lstm_init_state|cell": (1, size),
        **_linear("rnn_params|rnn/linear", inputs + size, 4 * size),
    }


def _adafac(hidden: int, outputs: int) -> Shapes:
    sizes = (39, hidden, hidden, outputs)
    weights = {f"nn|~|w{i}": (sizes[i], sizes[i + 1]) for i in range(3)}
    biases = {f"nn|~|b{i}": (sizes[i + 1],) for i in range(3)}
    decays = {"momentum_decays": (3,), "rms_decays": (1,), "adafactor_decays": (3,)}
    return {**weights, **biases, **decays}


_GROUPS = (1, 1, 1, 3, 1, 3, 1, 3, 1, 3, 3, 3, 3, 3)


def _bank(hidden: int, *bank: int) -> Shapes:
    first = {
        f"ff_mod_stack|~|w0__{i}": (*bank, size, hidden)
        for i, size in enumerate(_GROUPS)
    }
    return {
        **first,
        "ff_mod_stack|~|b0": (*bank, hidden),
        "ff_mod_stack|~|w1": (*bank, hidden, hidden),
        "ff_mod_stack|~|b1": (*bank, hidden),
        "ff_mod_stack|~|w2": (*bank, hidden, 3),
        "ff_mod_stack|~|b2": (*bank, 3),
    }


def _scheduler(inputs: int, size: int) -> Shapes:
    mixing = {}
    for name in ("linear", "linear_1", "linear_2"):
        mixing |= _linear(f"rnn_params|{name}", inputs, size)
    return {
        **mixing,
        **_lstm(size, size),
        **_linear("rnn_params|step_size", size, 1),
    }


def _velo(inputs: int, size: int, bank: int) -> Shapes:
    controls = _linear("rnn_params|rnn_to_controls", size, bank)
    return {**_bank(4, bank), **_scheduler(inputs, size), **controls}


_SCALARS: Shapes = {
    f"per_layer_{name}": () for name in ("lr", "beta1", "beta2", "epsilon")
}

THETAS: dict[str, list[tuple[dict[str, Any], Shapes]]] = {
    "LearnableSGD": [({}, {"log_lr": ()})],
    "LearnableSGDM": [({}, {"log_lr": (), "one_minus_momentum": ()})],
    "LearnableAdam": [
        (
            {},
            {
                "log_lr": (),
                "one_minus_beta1": (),
                "one_minus_beta2": (),
                "log_epsilon": (),
            },
        )
    ],
    "MLPLOpt": [
        ({}, _mlp("", 19, 32, 32, 2)),
        ({"hidden_size": 8, "hidden_layers": 1}, _mlp("", 19, 8, 2)),
    ],
    "AdafacMLPLOpt": [
        ({}, _adafac(4, 2)),
        ({"hidden_size": 32}, _adafac(32, 2)),
        ({"concat_weights": False}, _adafac(4, 2)),
    ],
    "MLPNomLOpt": [({}, _adafac(4, 4))],
    "RNNMLPLOpt": [
        (
            {},
            {
                "initial_from_lstm": (18,),
                "initial_from_mlp": (16,),
                **_lstm(52, 64),
                **_linear("rnn_to_ff_params|rnn_to_ff", 64, 17),
                **_linear("rnn_to_in_params|rnn_to_in", 64, 18),
                **_mlp("ffmod_params|", 54, 32, 32, 18),
            },
        )
    ],
    "NNAdam": [
        (
            {},
            {
                **_lstm(19, 32),
                **_linear("rnn_to_controls_params|rnn_to_controls", 32, 4),
                **_SCALARS,
            },
        )
    ],
    "HyperV2": [
        ({}, _velo(30, 128, 64)),
        ({"lstm_hidden_size": 512, "param_inits": 256}, _velo(30, 512, 256)),
        ({"with_validation_feature_dim": True}, _velo(31, 128, 64)),
    ],
    "Celo": [({}, _velo(18, 64, 1))],
    "CeloAdam": [({}, _scheduler(18, 64))],
    "Celo2": [({}, _bank(8))],
    "Celo2Base": [({}, _bank(8))],
}
"""For some settings of each class: names and shapes of its meta-parameters."""
