# shellcheck shell=bash
# How hosts take software from elsewhere: over TLS, and trusting a signer only by the fingerprint written down here.

# fetch URL FILE
fetch() {
  curl --fail --silent --show-error --location --proto '=https' --retry 5 --max-time 600 --output "$2" "$1"
}

# trust URL FINGERPRINT KEYRING: keep the key at URL for verification, if it is the one expected.
trust() {
  local key found
  key=$(mktemp)
  fetch "$1" "$key"
  found=$(gpg --batch --quiet --show-keys --with-colons "$key" | awk -F: '$1 == "pub" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }')
  if [[ $found != "$2" ]]; then
    echo "The key at $1 has the fingerprint ${found:-of nothing}, and not $2." >&2
    return 1
  fi
  gpg --batch --quiet --yes --dearmor --output "$3" <"$key"
  rm -f "$key"
}

# matches FILE SHA256
matches() {
  if ! sha256sum --check --status <<<"$2  $1"; then
    echo "$1 is not what was expected: its SHA-256 differs from $2." >&2
    return 1
  fi
}
