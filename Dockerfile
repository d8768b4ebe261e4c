# Image of the command `trainer`, with the package versions of constraints.txt. PyTorch is the one for CPUs by default.
#
#   docker build --tag trainer .
#   docker build --tag trainer:cuda --build-arg TORCH_BACKEND=cu130 .
#   docker run --rm --shm-size 1g --volume "$PWD:/work" trainer experiment=digits_cnn

FROM python:3.12-slim AS base
# cpu, or a version of CUDA as in cu130; uv finds the packages of PyTorch for it, also later in the container
ARG TORCH_BACKEND=cpu
ENV UV_TORCH_BACKEND=$TORCH_BACKEND
# git: runs record the commit of your code; make: targets of the development container
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir uv==0.13.8

FROM base AS command
# extras of pyproject.toml, each as an option: --build-arg EXTRAS="--extra onnx --extra search"
ARG EXTRAS=""
ENV UV_SYSTEM_PYTHON=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /src
# the dependencies first, so that a change of the code does not install them again
COPY pyproject.toml constraints.txt README.md LICENSE ./
# hadolint ignore=SC2086
RUN uv pip install --constraint constraints.txt $EXTRAS --requirements pyproject.toml
COPY conf conf
COPY experiments experiments
COPY src src
RUN uv pip install --no-deps .
RUN useradd --create-home --uid 1000 trainer
USER trainer
WORKDIR /work
ENTRYPOINT ["trainer"]
CMD ["--help"]
