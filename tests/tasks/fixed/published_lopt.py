"""The published tasks that train learned optimizers, written out by hand."""

_FASHION, _BW = "ImageMLP_FashionMnist8_Relu32", "ImageMLP_Cifar10BW8_Relu32"
_CONV8, _CONV16 = "Conv_Cifar10_8_16x32", "Conv_Cifar10_16_32x64x64"

UNROLLED = {
    "LOpt_MLPLOpt_FahionMnist_100": ("MLPLOpt", _FASHION, 100),
    "LOpt_MLPLOpt_FahionMnist_50": ("MLPLOpt", _FASHION, 50),
    "LOpt_MLPLOpt_FahionMnist_10": ("MLPLOpt", _FASHION, 10),
    "LOpt_MLPLOpt_Cifar10_16_10": ("MLPLOpt", _CONV16, 10),
    "LOpt_MLPLOpt_Cifar10_8_50": ("MLPLOpt", _CONV8, 50),
    "LOpt_AdafacMLPLOpt_Cifar10_8_10": ("AdafacMLPLOpt", _CONV8, 10),
    "LOpt_AdafacMLPLOpt_FashionMnist_50": ("AdafacMLPLOpt", _FASHION, 50),
    "LOpt_AdafacMLPLOpt_FashionMnist_20": ("AdafacMLPLOpt", _FASHION, 20),
    "LOpt_LearnableAdam_Cifar10_8_50": ("LearnableAdam", _CONV8, 50),
    "LOpt_LearnableAdam_Cifar10_8_200": ("LearnableAdam", _CONV8, 200),
}
"""Learned optimizer, inner task and steps."""

ESTIMATED = {
    "LOpt_ES4_AdafacMLPLOpt_FashionMnist_20": "LOpt_AdafacMLPLOpt_FashionMnist_20",
    "LOpt_ES4_LOpt_MLPLOpt_FahionMnist_50": "LOpt_MLPLOpt_FahionMnist_50",
    "LOpt_ES4_LOpt_MLPLOpt_Cifar10_16_10": "LOpt_MLPLOpt_Cifar10_16_10",
}
"""What is wrapped, by four antithetic pairs of deviation 0.01."""

TRUNCATED = {
    f"LOptPES_Adafac_{data}_OuterBS{pairs}_Length{length}_Trunc{trunc}": (
        "AdafacMLPLOpt",
        {"Fashion": _FASHION, "Cifar": _BW}[data],
        pairs,
        length,
        trunc,
    )
    for data in ("Fashion", "Cifar")
    for pairs, length, trunc in (
        (16, 50, 10),
        (16, 200, 10),
        (8, 50, 5),
        (4, 50, 10),
        (4, 50, 5),
    )
}
"""Learned optimizer, inner task, pairs, length of a run and of a truncation."""

NAMES = (*UNROLLED, *ESTIMATED, *TRUNCATED)

_META_PARAMETERS = {
    # Two hidden layers of 32 of 19 inputs; of 4 of 39, and seven decays.
    "MLPLOpt": 19 * 32 + 32 + 32 * 32 + 32 + 32 * 2 + 2,
    "AdafacMLPLOpt": 39 * 4 + 4 + 4 * 4 + 4 + 4 * 2 + 2 + 7,
    "LearnableAdam": 4,
}


def num_params(name: str) -> int:
    """Return the number of meta-parameters, from the architecture by hand."""
    name = ESTIMATED.get(name, name)
    return _META_PARAMETERS[{**UNROLLED, **TRUNCATED}[name][0]]
