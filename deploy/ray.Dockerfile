# convlab's image with Ray, as KubeRay's pods need it: deploy/kubernetes/features/
ARG IMAGE=convlab
FROM ${IMAGE}

# KubeRay's probes ask with wget
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
USER convlab

# The pinned version, with what takes jobs in; no package of the image changes
RUN pip freeze --exclude-editable > /tmp/pins.txt \
    && pip install --no-cache-dir --constraint /tmp/pins.txt \
       "ray[default]==$(sed -n 's/^ray==\([0-9.]*\).*/\1/p' requirements/ray.txt)"
