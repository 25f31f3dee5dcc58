#!/bin/sh
# cluster/requirements/lock.sh [--upgrade]
# Writes the image's lock files anew from requirements.txt: run it, with uv on the path, after a
# change there. Ray and torch are pinned to what the tests ran with.
set -eu
cd "$(dirname "$0")/../.."
folder=cluster/requirements

lock() {
  target=$1
  shift
  uv pip compile "$@" --quiet --generate-hashes --no-annotate \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --custom-compile-command "$folder/lock.sh" --output-file "$folder/$target.txt"
}

lock uv "$folder/uv.in" "$@"
for target in cpu cuda; do
  if [ "$target" = cpu ]; then export UV_TORCH_BACKEND=cpu; else unset UV_TORCH_BACKEND; fi
  lock "$target" pyproject.toml "$folder/launcher.in" --extra gs --extra s3 --extra tracing \
    --constraint "$folder/pins.in" "$@"
done
