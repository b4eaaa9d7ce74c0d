# The commands with everything they may need, Ray's cluster included:
#   docker build -t optimizer-baselines .
#   docker run --rm -v "$PWD:/results" optimizer-baselines lopt quickstart
FROM python:3.12-slim
# KubeRay checks the health of nodes with wget.
RUN apt-get update && apt-get install -y --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/*
# "cuda12" or "cuda13" among them makes an image for GPUs.
ARG EXTRAS="ray,data,frames,tensorboard,gcs,s3"
COPY . /opt/optimizer-baselines
# Ray's dashboard is what KubeRay submits jobs to.
RUN pip install --no-cache-dir -c /opt/optimizer-baselines/constraints.txt \
    "/opt/optimizer-baselines[$EXTRAS]" "ray[default]"
ENV LOPT_BASELINE_DIR=/results/lopt_baselines \
    LOPT_BASELINE_ARCHIVES_DIR=/results/lopt_baselines_archives \
    LOPT_CACHE_DIR=/results/.lopt_cache \
    LOPT_DATA_DIR=/results/.lopt_data
WORKDIR /results
CMD ["lopt", "--help"]
