#!/usr/bin/env bash
# Run a command as one of the pipeline's roles:  scripts/as-role.sh bank-test-plan COMMAND [ARGUMENT]...
#
# The role is assumed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY if they are set, else with the machine's own role.
# With AWS_PROFILE set, a person works on a machine of their own: that profile is used as it is, and no role assumed.
#
# The command is given a profile and not the keys of a session: such a session ends after an hour, sooner than a first
# apply, and every tool of AWS renews a profile's. Nor is the role named in Terraform, where a saved plan would keep it:
# the plan is made by a role that may only read, and applied by another.
set -euo pipefail
set +x

tell_keys() {
  # The tools of AWS run this whenever they want a session; it goes through a pipe and never through a file.
  printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s"%s}\n' "$PIPELINE_KEY_ID" "$PIPELINE_KEY" \
    "${PIPELINE_TOKEN:+,\"SessionToken\":\"$PIPELINE_TOKEN\"}"
}

account() {
  aws sts get-caller-identity --query Account --output text
}

# Who it was, for AWS's own records: the build's name, or the person's.
session_name() {
  local name=${BUILD_TAG:-${USER:-somebody}}
  name=${name//[^A-Za-z0-9_.-]/-}
  echo "${name:0:64}"
}

main() {
  if [[ ${1-} == --keys ]]; then
    tell_keys
    return
  fi
  if [[ $# -lt 2 || ! $1 =~ ^bank-[a-z0-9-]+$ ]]; then
    echo "Usage: scripts/as-role.sh ROLE COMMAND [ARGUMENT]..., where ROLE is like bank-test-plan" >&2
    exit 2
  fi
  local role=$1 source here
  shift

  # Where the state is; everything that stands in a region names its own.
  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
  AWS_ACCOUNT_ID=${AWS_ACCOUNT_ID:-$(account)}
  export AWS_ACCOUNT_ID
  if [[ ! $AWS_ACCOUNT_ID =~ ^[0-9]{12}$ ]]; then
    echo "AWS_ACCOUNT_ID is '$AWS_ACCOUNT_ID' and not twelve digits." >&2
    exit 1
  fi
  [[ -z ${AWS_PROFILE-} ]] || exec "$@"

  here=$(cd "$(dirname "$0")" && pwd)
  if [[ -n ${AWS_ACCESS_KEY_ID-} ]]; then
    # Keys in the environment would win over the profile, so they go by another name.
    export PIPELINE_KEY_ID=$AWS_ACCESS_KEY_ID PIPELINE_KEY=${AWS_SECRET_ACCESS_KEY:?is not set} PIPELINE_TOKEN=${AWS_SESSION_TOKEN-}
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
    source="source_profile = pipeline"
  else
    source="credential_source = Ec2InstanceMetadata"
  fi

  local directory=${here%/*}/build/aws
  mkdir -p "$directory"
  export AWS_CONFIG_FILE=$directory/$role.ini AWS_PROFILE=$role
  cat >"$AWS_CONFIG_FILE.$$" <<CONFIG
[profile $role]
role_arn = arn:aws:iam::$AWS_ACCOUNT_ID:role/$role
role_session_name = $(session_name)
$source

[profile pipeline]
credential_process = "$here/as-role.sh" --keys
CONFIG
  mv "$AWS_CONFIG_FILE.$$" "$AWS_CONFIG_FILE"
  exec "$@"
}

main "$@"
