#!/usr/bin/env bash
# Builds an image twice from nothing, no layer taken from an earlier build, and compares what came out: the same sources are to make the
# same image, digest by digest.
#
# usage: test/containers/reproducible.sh [--script-mode]      (BASE_IMAGE, BUILD_SECRETS and TENSORFLOW as for byoc.sh)
#   FIRST            an image of these sources that was built before, in place of the first build
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tool=podman
if docker info >/dev/null 2>&1; then tool=docker; fi
command -v "$tool" >/dev/null || { echo 'skipped: no container tool (docker with its daemon, or podman)'; exit 0; }
read -ra secrets <<<"${BUILD_SECRETS:-}"
work=$(mktemp -d)
names=("${FIRST:-localhost/scanline-reproducible:first}" localhost/scanline-reproducible:second)
trap 'rm -rf "$work"; "$tool" rmi localhost/scanline-reproducible:first localhost/scanline-reproducible:second >/dev/null 2>&1 || true' EXIT

for i in 0 1; do
  if [ $i = 1 ] || [ -z "${FIRST:-}" ]; then
    node dist/bin/scanline.js image build "$@" --no-cache --tag "${names[$i]}" --tensorflow "${TENSORFLOW:-cpu}" \
      ${secrets[@]+"${secrets[@]}"} ${BASE_IMAGE:+--base-image "$BASE_IMAGE"} >"$work/log" 2>&1 ||
      { tail -40 "$work/log" >&2; exit 1; }
  fi
  "$tool" image inspect --format '{{range .RootFS.Layers}}{{println .}}{{end}}{{json .Config}}' "${names[$i]}" >"$work/$i"
  echo "${names[$i]}: $("$tool" image inspect --format '{{.Id}}' "${names[$i]}")"
done
if cmp -s "$work/0" "$work/1"; then
  echo '✓ both builds made the same layers and the same configuration'
  exit 0
fi
echo '✗ the builds differ:' >&2
diff "$work/0" "$work/1" >&2 || true
# what is in the layers tells what made them differ
for i in 0 1; do
  "$tool" run --rm --network none "${names[$i]}" sh -c \
    'find / -xdev -type f \( -path /proc -prune -o -print0 \) | sort -z | xargs -0 sha256sum' >"$work/files$i" 2>/dev/null || true
done
diff "$work/files0" "$work/files1" | head -40 >&2 || true
exit 1
