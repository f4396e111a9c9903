#!/usr/bin/env bash
# Check what `infra/` promises, without AWS: style, validity, and each module's own tests with a mocked provider.
#
# Needs terraform, and its AWS provider: from the registry, or unpacked in a folder that ends in
# registry.terraform.io/hashicorp/aws, which TERRAFORM_MIRROR names (all before "registry.terraform.io") or which is looked for.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly work=$PWD/build/terraform

not_run() {
  echo "NOT RUN: infra: $*" >&2
  [[ ${CI-} != true ]] || exit 1
  exit 0
}

mirror() {
  if [[ -n ${TERRAFORM_MIRROR-} ]]; then
    echo "$TERRAFORM_MIRROR"
  else
    find / -xdev -maxdepth 6 -type d -path '*/registry.terraform.io/hashicorp/aws' -not -path '/proc/*' 2>/dev/null |
      grep -v '/\.terraform/\|/build/terraform/' | head -n 1 | sed 's,/registry.terraform.io/hashicorp/aws$,,'
  fi
}

command -v terraform >/dev/null || not_run "no terraform found; https://developer.hashicorp.com/terraform/install has it"

mkdir -p "$work"
found=$(mirror)
if [[ -n $found ]]; then
  cat >"$work/cli.tfrc" <<CONFIG
provider_installation {
  filesystem_mirror {
    path    = "$found"
    include = ["registry.terraform.io/*/*"]
  }
}
CONFIG
  export TF_CLI_CONFIG_FILE=$work/cli.tfrc
fi
# Nothing here may reach an account, whatever credentials this shell has.
unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null CHECKPOINT_DISABLE=1

terraform fmt -check -recursive infra

# A copy, so that neither providers nor lock files of modules come to lie in the tree.
rm -rf "$work/modules"
cp -r infra/modules "$work/modules"

check_module() {
  local module=$1 log=$work/${1##*/}.log
  if (cd "$module" && terraform init -backend=false -input=false && terraform validate -no-color && terraform test -no-color) >"$log" 2>&1; then
    echo "${module##*/}: $(tail -n 1 "$log")"
  else
    cat "$log" >&2
    echo "${module##*/}: failed" >&2
    return 1
  fi
}
export -f check_module
export work

# Most of a module's time is the provider's own start; two at a time suit a small machine.
find "$work/modules" -mindepth 2 -maxdepth 2 -name versions.tf -printf '%h\n' | sort |
  xargs -P 2 -I{} bash -c 'check_module "$1"' _ {}
