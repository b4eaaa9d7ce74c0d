"""Every fixed task: importing this module imports them all.

`tasks.fixed.all.NAME()` makes the task of that name, as `get_task_from_name("NAME")`.
"""

from learned_optimization.tasks.fixed.conv import *  # noqa: F403
from learned_optimization.tasks.fixed.es_wrapped import *  # noqa: F403
from learned_optimization.tasks.fixed.image_mlp import *  # noqa: F403
from learned_optimization.tasks.fixed.image_mlp_ae import *  # noqa: F403
from learned_optimization.tasks.fixed.laptop import *  # noqa: F403
from learned_optimization.tasks.fixed.laptop_heldout import *  # noqa: F403
from learned_optimization.tasks.fixed.lopt import *  # noqa: F403
from learned_optimization.tasks.fixed.mlp_mixer import *  # noqa: F403
from learned_optimization.tasks.fixed.resnet import *  # noqa: F403
from learned_optimization.tasks.fixed.rnn_lm import *  # noqa: F403
from learned_optimization.tasks.fixed.transformer_lm import *  # noqa: F403
from learned_optimization.tasks.fixed.vit import *  # noqa: F403
