#!/usr/bin/env bash
# Plan and apply an environment of the estate, with the credentials at hand (scripts/as-role.sh gives the right ones).
#
#   scripts/terraform.sh plan ENV          save what would change: build/plans/ENV.tfplan, as text, summary and digest
#   scripts/terraform.sh apply ENV [PLAN]  apply that file; PLAN_SHA256 must be the digest of the plan that was looked at
#   scripts/terraform.sh output ENV        write build/deployment/ENV.json for scripts/deploy.py, from the state
#   scripts/terraform.sh drift ENV         fail if the estate is not what its code says
#
# STATE_BUCKET may name another state bucket, ALLOW_DESTROY=yes lets a plan take away what keeps data.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077

fail() {
  echo "$*" >&2
  exit 1
}

in_root() {
  terraform -chdir="infra/live/$env" "$@"
}

init() {
  export TF_IN_AUTOMATION=true TF_INPUT=false CHECKPOINT_DISABLE=1 TF_DATA_DIR=$PWD/build/terraform/live-$env
  local bucket=${STATE_BUCKET:-bank-$env-state-${AWS_ACCOUNT_ID:?is not set; scripts/as-role.sh sets it}} options=()
  # Whoever committed a lock chose the providers; nobody else does by running this.
  [[ ! -e infra/live/$env/.terraform.lock.hcl ]] || options+=(-lockfile=readonly)
  mkdir -p build/terraform build/plans build/deployment
  in_root init -no-color -reconfigure "${options[@]}" -backend-config="bucket=$bucket" >"build/terraform/init-$env.log" 2>&1 || {
    cat "build/terraform/init-$env.log" >&2
    fail "Terraform could not begin with the state bucket $bucket. infra/bootstrap makes it; is this the right account?"
  }
}

digest() {
  sha256sum "$1" | cut -d ' ' -f 1
}

# The plan as JSON has secrets in clear, so it goes through a pipe and never into a file.
summary() {
  in_root show -json "$1" | "${PYTHON:-python3}" scripts/plan_summary.py "${@:2}"
}

plan() {
  [[ -s build/package/release.json ]] || fail "There is no build/package/release.json. \`make package\` writes it."
  TF_VAR_release=$(<build/package/release.json)
  export TF_VAR_release
  # An older plan must not be taken for this one if this one fails.
  rm -f "$plans".{tfplan,tfplan.new,tfplan.sha256,txt,summary.txt}
  init
  trap 'rm -f "$plans.tfplan.new"' EXIT
  in_root plan -no-color -input=false -lock-timeout=5m -out="$plans.tfplan.new"
  in_root show -no-color "$plans.tfplan.new" >"$plans.txt"
  summary "$plans.tfplan.new" | tee "$plans.summary.txt"
  mv "$plans.tfplan.new" "$plans.tfplan"
  digest "$plans.tfplan" >"$plans.tfplan.sha256"
  echo "To apply it: make apply ENV=$env PLAN=$env.tfplan PLAN_SHA256=$(<"$plans.tfplan.sha256")"
}

apply() {
  local file=${1:-$env.tfplan}
  [[ $file == */* ]] || file=$PWD/build/plans/$file
  [[ ${file##*/} == "$env.tfplan" ]] || fail "${file##*/} is not a plan for $env; that is named $env.tfplan."
  [[ -n ${PLAN_SHA256-} ]] || fail "PLAN_SHA256 is not set. It is the digest of the plan that was looked at; \`make plan ENV=$env\` prints it."
  [[ -s $file ]] || fail "There is no $file. \`make plan ENV=$env\` makes it."
  [[ $(digest "$file") == "$PLAN_SHA256" ]] || fail "$file is not the plan that was looked at: its digest is $(digest "$file")."
  init
  # What was rolled out before belongs to the deployment before.
  rm -f "build/deployment/$env.json" "build/deployment/$env"-*-previous.json
  in_root apply -no-color -input=false -lock-timeout=5m "$(realpath "$file")"
  write_deployment
}

write_deployment() {
  local file=build/deployment/$env.json
  in_root output -no-color -json deployment >"$file.new" ||
    fail "The state of $env has no output \`deployment\`: nothing has been applied there yet."
  mv "$file.new" "$file"
  echo "$file says what is to be deployed where."
}

applied() {
  "${PYTHON:-python3}" -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[sys.argv[1]]))' "$1" <"build/deployment/$env.json"
}

# Release and machine images are those of the state: newer ones may not have been applied yet, and that is no drift.
drift() {
  local code=0
  init
  write_deployment
  TF_VAR_release=$(applied release)
  TF_VAR_images=$(applied images)
  export TF_VAR_release TF_VAR_images
  trap 'rm -f "$plans-drift.tfplan"' EXIT
  in_root plan -no-color -input=false -lock=false -detailed-exitcode -out="$plans-drift.tfplan" >"$plans-drift.txt" 2>&1 || code=$?
  case $code in
    0) echo "$env is what its code says." ;;
    2)
      summary "$plans-drift.tfplan" --drift
      fail "$env is not what its code says; the plan is in build/plans/$env-drift.txt."
      ;;
    *)
      cat "$plans-drift.txt" >&2
      fail "The plan for $env failed."
      ;;
  esac
}

main() {
  local command=${1-}
  env=${2-}
  readonly env plans=$PWD/build/plans/$env
  if [[ ! $env =~ ^[a-z]+$ || ! -d infra/live/$env ]]; then
    fail "ENV is '$env'; it must be one of: $(cd infra/live && echo *)"
  fi
  case $command in
    plan | drift) "$command" ;;
    apply) apply "${3-}" ;;
    output) init && write_deployment ;;
    *) fail "Usage: scripts/terraform.sh plan|apply|output|drift ENV [PLAN]" ;;
  esac
}

main "$@"
