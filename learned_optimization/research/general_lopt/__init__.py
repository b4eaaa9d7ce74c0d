"""VeLO (Metz et al. 2022, arXiv:2211.09760): pretrained learned optimizers."""
