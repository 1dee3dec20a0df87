# convlab with all that requirements/ pins. How to build and use it: docs/how-to/docker.md
FROM python:3.13-slim

# DVC and the provenance of runs need git, `make demo` make; OpenMP is what the runtimes compute with
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 make \
    && rm -rf /var/lib/apt/lists/*

ARG UID=1000
RUN useradd --create-home --uid "$UID" convlab && install --directory --owner convlab /convlab
USER convlab
WORKDIR /convlab

# Where a CPU build of torch is. Without one, torch brings gigabytes of CUDA libraries
ARG TORCH_INDEX=

# The packages change seldom, the code often: a layer each
COPY --chown=convlab requirements requirements
COPY --chown=convlab pyproject.toml README.md ./
COPY --chown=convlab src/convlab/__init__.py src/convlab/
RUN python -m venv .venv \
    && PIP_NO_CACHE_DIR=1 .venv/bin/python requirements/install.py --dev ${TORCH_INDEX:+--torch-index "$TORCH_INDEX"}

COPY --chown=convlab . .
# a repository of its own: DVC asks for one, and .git is not part of the image
RUN pwd > .venv/.set-up \
    && git init --quiet && git add --all \
    && git -c user.name=convlab -c user.email=convlab@localhost commit --quiet --message "The image's files"

ENV PATH=/convlab/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1
# Only a server that is told --host 0.0.0.0 is reached through a published port
EXPOSE 5000 8000
CMD ["make", "demo"]
