"""Meta-training: estimators of meta-gradients, and the loops that step by them."""
