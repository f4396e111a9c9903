#!/usr/bin/env bash
# Fetch what pages are served with: htmx, the typeface, the icons. Run it to change a version or add an icon, then commit.
# What it writes is committed, so that neither building nor running the bank needs npm.
set -euo pipefail
cd "$(dirname "$0")/../bank/web/static/vendor"

readonly htmx=4.0.1 inter=5.3.0 lucide=1.62.0
readonly icons=(
  arrow-down-left arrow-left-right arrow-up-right banknote bus calendar-clock chart-pie check chevron-left
  chevron-right circle-check circle-x clock coins copy download eye file-text flag heart-pulse house inbox info
  key-round landmark list-checks log-out monitor pencil percent piggy-bank plug plus printer receipt repeat scale
  search send server shopping-cart smartphone snowflake sun ticket triangle-alert user users utensils wallet x
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --prefix "$work" --no-save --no-audit --no-fund --silent \
  "htmx.org@$htmx" "@fontsource-variable/inter@$inter" "lucide-static@$lucide"
from=$work/node_modules

rm -f ./*
cp "$from/htmx.org/dist/htmx.min.js" "htmx-$htmx.min.js"
cp "$from/htmx.org/LICENSE" LICENSE-htmx
cp "$from/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2" "inter-$inter-latin.woff2"
cp "$from/@fontsource-variable/inter/LICENSE" LICENSE-inter
cp "$from/lucide-static/LICENSE" LICENSE-lucide

# One file of all icons, so that a page fetches it once: each is a <symbol> that <use href="…#name"> shows.
{
  echo "<!-- lucide-static $lucide, ISC licence -->"
  echo '<svg xmlns="http://www.w3.org/2000/svg">'
  for icon in "${icons[@]}"; do
    echo "<symbol id=\"$icon\" viewBox=\"0 0 24 24\">"
    sed -n '/^  </p' "$from/lucide-static/icons/$icon.svg" | grep -v '^  [a-z]'
    echo "</symbol>"
  done
  echo '</svg>'
} >"icons-$lucide.svg"
sha256sum -- * >SHA256SUMS
