"""Sweeps over a Ray cluster, for `lopt sweep --ray`; needs the extra `ray`.

Ray: Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications",
OSDI 2018, https://arxiv.org/abs/1712.05889; its interface is that of
https://docs.ray.io/en/latest/ray-core/walkthrough.html.
"""
