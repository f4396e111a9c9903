#!/usr/bin/env bash
# Apply both regions to an emulated AWS (moto), look at what stands there, and take it all down again.
#
#   scripts/test-emulator.sh postgres|mysql
#
# Needs terraform and the tools for the estate (`make test-emulator` installs these). What was run lies in build/emulator;
# docs/operating/emulator.md says what this can show and what it cannot.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/terraform-mirror.sh
. scripts/terraform-mirror.sh

engine=${1-postgres}
PYTHON=$PWD/.venv/bin/python
work=$PWD/build/emulator/$engine
tree=$work/tree
logs=$work/logs
moto=''

fail() {
  echo "$*" >&2
  exit 1
}

[[ $engine =~ ^(postgres|mysql)$ ]] || fail "Usage: scripts/test-emulator.sh postgres|mysql"
if ! command -v terraform >/dev/null; then
  echo "NOT RUN: emulator: no terraform found; https://developer.hashicorp.com/terraform/install has it" >&2
  [[ ${CI-} != true ]] || exit 1
  exit 0
fi

# Runs whatever happens; who takes longer than 20 seconds to stop is killed by `timeout`, and moto at once.
cleanup() {
  local job
  for job in $(jobs -pr); do
    pkill -INT -P "$job" || true
    kill -INT "$job" || true
  done 2>/dev/null
  [[ -z $moto ]] || kill -KILL "$moto" 2>/dev/null || true
  wait
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# What failed: what was said of it, what terraform was still waiting for, and what moto lacks.
show_failure() {
  {
    echo "--- $1"
    grep -A 15 -e '^Error' -e '^Not empty' -e '^No longer' -e '^FAILED' -e '^ERROR' "$1" || tail -n 30 "$1"
    tail -n 12 "$1" | grep 'Still ' || true
    grep -hE '^[A-Za-z]+(Error|Exception): ' "$logs/moto.log" | sort | uniq -c || true
  } >&2
}

# step SECONDS NAME COMMAND...: under a time limit, with a log of its own; says how long it took.
step() {
  local limit=$1 name=$2 start=$SECONDS
  shift 2
  # Terraform, interrupted, still says what it was at. In the background, so that the script itself can be stopped.
  timeout --signal=INT --kill-after=20 "$limit" bash -euo pipefail -c '"$@"' _ "$@" >"$logs/$name.log" 2>&1 &
  if wait $!; then
    printf '%4d s  %s\n' $((SECONDS - start)) "$name"
  else
    printf '%4d s  %s FAILED\n' $((SECONDS - start)) "$name" >&2
    show_failure "$logs/$name.log"
    return 1
  fi
}

# --- what is done to a root; the functions are run by `step` --------------------------------------------------------

in_root() {
  terraform -chdir="$tree/infra/$1" "${@:2}" -no-color
}

apply_root() {
  in_root "$1" init -backend-config="bucket=bank-cicd-state-$AWS_ACCOUNT_ID"
  in_root "$1" apply -auto-approve "${@:2}"
}

# A second plan shows no change. As JSON it has secrets in clear, so it goes through a pipe and never into a file.
check_root() {
  in_root "$1" plan -out="$work/again.${1//\//-}" "${@:2}"
  in_root "$1" show -json "$work/again.${1//\//-}" | "$PYTHON" tests/emulator/changes.py "$1"
}

destroy_root() {
  in_root "$1" destroy -auto-approve "${@:2}"
  [[ -z $(in_root "$1" state list) ]]
}

bootstrap() {
  apply_root bootstrap -var=protected=false
  check_root bootstrap -var=protected=false
}

# Jenkins' own estate, from nothing to nothing, beside the bank's.
cicd() {
  export TF_VAR_repository='{"url":"https://git.example.org/bank.git"}' TF_VAR_image_id=ami-760aaa0f TF_VAR_protected=false
  apply_root cicd
  check_root cicd
  "$PYTHON" -m pytest -p no:cacheprovider -q tests/emulator/test_jenkins.py
  destroy_root cicd
}

look() {
  "$PYTHON" -m pytest -p no:cacheprovider -q "tests/emulator/$1"
}

# --- an account of its own, and a copy of the tree that knows it ----------------------------------------------------

forget_aws
use_mirror
unset AWS_CA_BUNDLE
rm -rf "$work"
mkdir -p "$tree/build/package" "$logs"
port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
MOTO_ACM_VALIDATION_WAIT=1 MOTO_IAM_LOAD_MANAGED_POLICIES=true \
  "$PYTHON" tests/emulator/shim.py -H 127.0.0.1 -p "$port" >"$logs/moto.log" 2>&1 &
moto=$!
disown

cp -r infra scripts "$tree"
find "$tree/infra" \( -name .terraform -o -name '*.tfvars' -o -name '*.tfstate*' \) -prune -exec rm -rf {} +
provider() {
  cat <<OVERRIDE
provider "aws" {
  $1
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}
OVERRIDE
}
provider '' | tee "$tree/infra/bootstrap/emulator_override.tf" >"$tree/infra/cicd/emulator_override.tf"
{ provider 'alias = "east"' && provider 'alias = "west"'; } >"$tree/infra/live/test/emulator_override.tf"
printf '{"commit": "%040d", "sha256": "%064d"}\n' 1 2 >"$tree/build/package/release.json"

for option in use_path_style skip_credentials_validation skip_requesting_account_id skip_metadata_api_check; do
  TF_CLI_ARGS_init+=" -backend-config=$option=true"
done
export TF_CLI_ARGS_init TF_CLI_ARGS_plan=-parallelism=30 TF_CLI_ARGS_apply=-parallelism=30 TF_CLI_ARGS_destroy=-parallelism=30
export TF_IN_AUTOMATION=true TF_INPUT=false EMULATOR_TREE=$tree EMULATOR_ENGINE=$engine
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_ACCOUNT_ID=123456789012 AWS_MAX_ATTEMPTS=3
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL=http://127.0.0.1:$port NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
export PYTHON work tree
export -f in_root apply_root check_root destroy_root bootstrap cicd look

for ((tries = 0; tries < 100; tries++)); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  kill -0 "$moto" 2>/dev/null || fail "moto did not start: $(tail -n 5 "$logs/moto.log")"
  sleep 0.2
done

# --- what an administrator does once --------------------------------------------------------------------------------

export TF_VAR_domains='{"production":"bank.example.org","test":"test.bank.example.org"}'
step 300 bootstrap bootstrap
zone=$("$PYTHON" -c 'import boto3; print(boto3.client("route53").create_hosted_zone(Name="bank.example.org", CallerReference="1")["HostedZone"]["Id"].split("/")[-1])')
step 540 jenkins cicd &
jenkins=$!

# --- what the pipeline does, with its own scripts -------------------------------------------------------------------

export TF_VAR_engine=$engine TF_VAR_emails='["operators@example.org"]' TF_VAR_bank='{"name":"Example Bank","timezone":"America/New_York"}'
export TF_VAR_domain="{\"name\":\"test.bank.example.org\",\"zone_id\":\"$zone\"}"
step 240 plan "$tree/scripts/terraform.sh" plan test
PLAN_SHA256=$(<"$tree/build/plans/test.tfplan.sha256")
TF_VAR_release=$(<"$tree/build/package/release.json")
export PLAN_SHA256 TF_VAR_release
step 480 apply "$tree/scripts/terraform.sh" apply test

# --- does it stand? -------------------------------------------------------------------------------------------------

export TF_DATA_DIR=$tree/build/terraform/live-test
step 240 again check_root live/test
step 180 what-stands look test_what_stands.py

# --- and down again -------------------------------------------------------------------------------------------------

step 360 destroy destroy_root live/test
unset TF_DATA_DIR
wait "$jenkins"
"$PYTHON" -c 'import boto3, sys; boto3.client("route53").delete_hosted_zone(Id=sys.argv[1])' "$zone"
step 240 destroy-bootstrap destroy_root bootstrap -var=protected=false
step 180 what-is-left look test_what_is_left.py
echo "On $engine the estate stood in both regions, held what it promises, and is gone again: $SECONDS s."
