"""The container images of the steps: what a KFP component names as its base image.

One image a group, built from `docker/` with `make images`. The names hold "python" because KFP warns about base images
that do not look like Python; a cluster pulls them from the registry that the pipelines are compiled for.
"""

TAG = "0.1.0"
"""Version of the images: that of the project."""

PREPROCESS = f"ofa-python-preprocess:{TAG}"
TRAIN = f"ofa-python-train:{TAG}"
EVALUATE = f"ofa-python-evaluate:{TAG}"
DEPLOY = f"ofa-python-deploy:{TAG}"
