"""The checkpoints that were published with VeLO (arXiv:2211.09760): names, addresses.

Those with a `config.gin` are folders of it and of `params`. Six older ones are single
files of `HyperV2` without one; what they were meta-trained with is known.
"""

from __future__ import annotations

import posixpath

__all__ = [
    "NO_CONFIG",
    "NO_CONFIG_BINDINGS",
    "OPT_NAMES",
    "ROOT",
    "VELO",
    "address",
    "function_name",
    "known_bindings",
]

ROOT = "gs://gresearch/learned_optimization/pretrained_lopts"
"""The folder that they were published in."""

VELO = "aug12_continue_on_bigger_2xbs_200kstep_bigproblem_v2_5620"
"""The checkpoint that is meant by VeLO."""

_BEST_ARCH2 = "may27_2022_jamesnomop__best_arch2__"
_SMALL_SCALE = "may27_2022_smallscaletransfer_"

OPT_NAMES: tuple[str, ...] = (
    "march20_2022_march18_parametric_v4_dz",
    "march20_2022_march18_parametric_tg_7class_676",
    "march20_2022_march20_parametric_sm_275",
    "march23_2022_march20_parametric_sm_3931",
    "march30_2022_march27_parametric_v3_2998",
    "march31_2022_march27_parametric_v3_3917",
    "april4_2022_april1_bigcluster_v3_4448",
    "april5_2022_april1_bigcluster_v3_5363",
    "april7_2022_april1_bigcluster_v3_8291",
    "april17_2022_april1_bigcluster_v3_12801",
    "april22_2022_april21_bigcluster_lossclip_1016",
    "april22_2022_april21_bigcluster_lossclip_2992",
    "april22_2022_april21_bigcluster_lossclip_1260",
    "april22_2022_april21_bigcluster_lossclip_1861",
    "april22_2022_april21_bigcluster_lossclip_1859",
    "april22_2022_april21_bigcluster_lossclip_1858",
    "april22_2022_april21_bigcluster_lossclip_1857",
    "april22_2022_april21_bigcluster_lossclip_1860_seed2",
    "april24_2022_april23_bigcluster_renormalize2_583",
    "april24_2022_march27_parametric_v3_29584",
    "april22_2022_april21_bigcluster_lossclip_1860",
    "april15_2022_april1_smallcluster_v3_17819",
    "may3_2022_april28_clusterv2_5787",
    "may3_2022_april28_clusterv2_5371",
    "may27_2022_may9_bigcluster_8rep_10529",
    "may27_2022_may9_bigcluster_8rep_9931",
    "may27_2022_may9_bigcluster_8rep_10147",
    "may27_2022_may9_bigcluster_8rep_17012",
    "may27_2022_may9_bigcluster_8rep_17010",
    "may27_2022_may9_bigcluster_8rep_17015",
    "jun11_jun10_16x4_speedconfirm_rb_983",
    f"{_BEST_ARCH2}wd0.0_bbnormFalse_stepmult0_nomstep0.001_rep0",
    f"{_BEST_ARCH2}wd0.0_bbnormFalse_stepmult0_nomstep0.001_rep1",
    f"{_BEST_ARCH2}wd0.0_bbnormFalse_stepmult0.001_nomstep0.0_rep0",
    f"{_BEST_ARCH2}wd0.0_bbnormFalse_stepmult0.001_nomstep0.0_rep1",
    f"{_BEST_ARCH2}wd0.0_bbnormTrue_stepmult0.001_nomstep0.001_rep0",
    f"{_BEST_ARCH2}wd0.0_bbnormTrue_stepmult0.001_nomstep0.001_rep1",
    f"{_BEST_ARCH2}wd1.0_bbnormTrue_stepmult0.001_nomstep0.001_rep0",
    f"{_BEST_ARCH2}wd1.0_bbnormTrue_stepmult0.001_nomstep0.001_rep1",
    f"{_BEST_ARCH2}wd0.1_bbnormTrue_stepmult0.001_nomstep0.001_rep0",
    f"{_BEST_ARCH2}wd0.1_bbnormTrue_stepmult0.001_nomstep0.001_rep1",
    f"{_BEST_ARCH2}wd0.5_bbnormTrue_stepmult0.001_nomstep0.001_rep0",
    f"{_BEST_ARCH2}wd0.5_bbnormTrue_stepmult0.001_nomstep0.001_rep1",
    f"{_SMALL_SCALE}may8_smallscale_hyperlstm_fulles_sign_es"
    "__lr0.001_rep0__eval_all_params_1616",
    f"{_SMALL_SCALE}may8_smallscale_hyperlstm_fulles_sign_es"
    "__lr0.001_rep1__eval_all_params_1600",
    f"{_SMALL_SCALE}may8_smallscale_hyperlstm_sharednoise"
    "__lr3e-05_rep0__eval_all_params_1000",
    f"{_SMALL_SCALE}may13_nnadam__lr0.0001_rep2__eval_all_params_4013",
    f"{_SMALL_SCALE}may22_nominal_rmsprecondition_evel_smallerstep"
    "__lr3e-05_rep0__eval_all_params_1000",
    f"{_SMALL_SCALE}may13_nominal_hyperv2_adam3e4_v2"
    "__lr3e-05_rep1__eval_all_params_1000",
    f"{_SMALL_SCALE}may13_nominal_hyperv2_nnadam__lr3e-05_rep0__eval_all_params_1000",
    f"{_SMALL_SCALE}may13_nominal_hyperv2_nnadam__lr3e-05_rep1__eval_all_params_1000",
    f"{_SMALL_SCALE}may22_nominal_weightdecay__lr3e-05_rep0__eval_all_params_1000",
    "jun29_vlcluster_shortlength_pretrain_extend_1109",
    "jun29_vlcluster_shortlength_pretrain_extend_1150",
    "jun29_vlcluster_shortlength_pretrain_extend_1409",
    "jun29_vlcluster_shortlength_pretrain_extend_1605",
    "jun28_bigcluster_8rep_jf_biggerdatafinetune_812",
    "jun28_bigcluster_8rep_jf_biggerdatafinetune_3015",
    "jun28_bigcluster_8rep_jf_biggerdatafinetune_6941",
    "aug1_jul18_continue_on_bigger_2753",
    "aug1_jul18_continue_on_bigger_2xbs_morestale_5031",
    "aug1_jul18_continue_on_bigger_2xbs_morestale_5064",
    "aug1_jul18_continue_on_bigger_2xbs_morestale_3784",
    "aug1_jul18_continue_on_bigger_2xbs_morestale_3858",
    "aug1_jul18_continue_on_bigger_2xbs_morestale_7442",
    "aug1_jul18_continue_on_bigger_smallerlr_534",
    "aug1_jul18_continue_on_bigger_smallerlr_1265",
    "aug1_jul18_continue_on_bigger_2801",
    "aug1_jul18_continue_on_bigger_8814",
    "aug1_may9_bigcluster_8rep_17048",
    "aug5_aug2_continue_on_bigger_2xbs_200kstep_106",
    "aug5_aug2_continue_on_bigger_2xbs_200kstep_2363",
    "aug5_aug2_continue_on_bigger_2xbs_200kstep_8814",
    "jun26_bigcluster_8rep_jf_1e3lr_2906",
    "jul18_continue_on_bigger_2xbs_morestale_9264",
    "aug12_continue_on_bigger_2xbs_200kstep_bigproblem_v2_5620",
)
"""Folders of those with a `config.gin`, in their published order."""

NO_CONFIG = {
    "aug11_aug4_trunc10per_avg": "aug11_aug4_trunc10per_avg.checkpoint",
    "aug11_aug4_trunc10per_last": "aug11_aug4_trunc10per_last.checkpoint",
    "sep14_sep10_compare_valid": "sep14_sep10_compare_valid_path.checkpoint",
    "sep14_sep10_compare2": "sep14_sep10_compare2.checkpoint",
    "sep14_sep10_compare2_v2": "sep14_sep10_compare2_v2.checkpoint",
    "sep14_aug20run_prior0": "sep14_aug20run_prior0.checkpoint",
}
"""Files of those without, by the names of their functions."""

NO_CONFIG_BINDINGS = (
    "run_train.lopt = @HyperV2()",
    "HyperV2.lstm_hidden_size = 512",
    "HyperV2.param_inits = 256",
    "HyperV2.use_bugged_next_lstm_state = True",
)
"""Class and settings of those without."""


def function_name(name: str) -> str:
    """Return the name of a checkpoint as a name of Python."""
    return name.replace(".", "_").replace("-", "_")


def address(name: str, root: str = ROOT) -> str:
    """Return where a checkpoint is.

    Args:
      name: one of `OPT_NAMES` or of `NO_CONFIG`.
      root: the folder that has them all: the published one, or one's own copy.
    """
    if name in NO_CONFIG:
        return posixpath.join(root, "no_config", NO_CONFIG[name])
    return posixpath.join(root, name, "params")


def known_bindings(path: str) -> tuple[str, ...]:
    """Return the settings of a checkpoint that is known by the name of its file."""
    is_known = posixpath.basename(path) in NO_CONFIG.values()
    return NO_CONFIG_BINDINGS if is_known else ()
