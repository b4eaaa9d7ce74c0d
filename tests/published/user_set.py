"""A set of a user's own, in the published style."""

import gin

from learned_optimization.baselines import utils


@gin.configurable
def Clipped_30_R2(task_name):
    return [], [(utils.get_save_dir(task_name, "Clipped", 30, 10, 5, 10), 2)]
