# Sourced: terraform finds its AWS provider, and no account.
#
# The provider comes from the registry, or from a folder that ends in registry.terraform.io/hashicorp/aws, unpacked;
# TERRAFORM_MIRROR names it (all before "/registry.terraform.io"), or it is looked for.
# shellcheck shell=bash

find_mirror() {
  if [[ -n ${TERRAFORM_MIRROR-} ]]; then
    echo "$TERRAFORM_MIRROR"
  else
    # `head` ends the search early, which is no failure.
    { find / -xdev -maxdepth 6 -type d -path '*/registry.terraform.io/hashicorp/aws' -not -path '/proc/*' 2>/dev/null || true; } |
      { grep -v '/\.terraform/\|/build/terraform/' || true; } | head -n 1 | sed 's,/registry.terraform.io/hashicorp/aws$,,'
  fi
}

# Writes build/terraform/cli.tfrc, which scripts and tests give to terraform.
use_mirror() {
  local root mirror
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  mirror=$(find_mirror)
  export TF_CLI_CONFIG_FILE=$root/build/terraform/cli.tfrc
  mkdir -p "${TF_CLI_CONFIG_FILE%/*}"
  if [[ -n $mirror ]]; then
    cat >"$TF_CLI_CONFIG_FILE.$$" <<CONFIG
provider_installation {
  filesystem_mirror {
    path    = "$mirror"
    include = ["registry.terraform.io/*/*"]
  }
}
CONFIG
  else
    # Half a gigabyte, fetched once.
    mkdir -p "$root/build/terraform/plugins"
    cat >"$TF_CLI_CONFIG_FILE.$$" <<CONFIG
plugin_cache_dir                            = "$root/build/terraform/plugins"
plugin_cache_may_break_dependency_lock_file = true
CONFIG
  fi
  mv "$TF_CLI_CONFIG_FILE.$$" "$TF_CLI_CONFIG_FILE"
}

# Whatever credentials this shell has, what follows reaches no account.
forget_aws() {
  unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
  export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null CHECKPOINT_DISABLE=1
}
