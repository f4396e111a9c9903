#!/usr/bin/env bash
# Check what `infra/` promises, without AWS: run tests/infra with terraform's provider at hand. Arguments go to pytest.
#
# Needs terraform, which no package has; see scripts/terraform-mirror.sh for its provider. Without it, those tests say
# NOT RUN, or fail where CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/terraform-mirror.sh

forget_aws
if command -v terraform >/dev/null; then
  use_mirror
  # Into the cache before two processes ask for it at once.
  if [[ -d build/terraform/plugins ]]; then
    rm -rf build/terraform/first
    mkdir -p build/terraform/first
    cp infra/modules/network/versions.tf build/terraform/first
    terraform -chdir=build/terraform/first init -backend=false -input=false >/dev/null
  fi
fi

# What belongs together stays in one process, which makes it once.
exec .venv/bin/pytest --dist loadgroup "$@" tests/infra
