"""The training engine behind `learned_optimization.eval_training`."""
