#!/bin/bash
# Build the images of the steps: build.sh [GROUP ...], by default all. BASE_IMAGE is one with Python 3.11; where it
# cannot be pulled, docker/base.sh makes one.
set -euo pipefail
cd "$(dirname "$0")/.."
groups=${*:-preprocess evaluate train deploy serve}
base=${BASE_IMAGE:-python:3.11-slim-bookworm}
own=local/python:3.11
tag=$(sed -n 's/^TAG = "\(.*\)"/\1/p' components/images.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)

docker/engine.sh
if ! docker image inspect "$base" >/dev/null 2>&1 && ! timeout 120 docker pull -q "$base" >/dev/null 2>&1; then
    base=$own
    docker image inspect "$base" >/dev/null 2>&1 || docker/base.sh "$base"
fi

# The images without a GPU take PyTorch's build for CPUs, which the package index does not have. pip is asked for it
# here, with what it is configured with: PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS. The environment of `make install` has no
# pip; that of uv beside it has.
pip="python3 -m pip"
[ ! -x .uv/bin/python ] || pip=".uv/bin/python -m pip"
mkdir -p build/wheels
sed -n '/^torch==.*+cpu/,/^ *#/{/#/d;p}' docker/requirements/evaluate.lock >build/wheels/torch-cpu.txt
torch=$(sed -n 's/^torch==\([^ ]*\).*/\1/p' build/wheels/torch-cpu.txt)
if [ "$groups" != train ] && ! ls build/wheels/torch-"$torch"-*.whl >/dev/null 2>&1; then
    rm -f build/wheels/*.whl
    $pip download --quiet --no-deps --require-hashes --only-binary :all: --python-version 3.11 \
        -r build/wheels/torch-cpu.txt -d build/wheels || {
        echo "error: pip finds no PyTorch for CPUs; set PIP_EXTRA_INDEX_URL to PyTorch's index of those builds" >&2
        exit 1
    }
fi

for group in $groups; do
    target=steps
    [ "$group" = serve ] && target=serve
    docker build --quiet --network host -f docker/Dockerfile --target "$target" --build-arg BASE_IMAGE="$base" \
        --build-arg GROUP="$group" --build-arg VERSION="$tag" --build-arg REVISION="$revision" \
        -t "ofa-python-$group:$tag" . >/dev/null
    docker image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}' "ofa-python-$group:$tag"
done
