#!/usr/bin/env bash
# Builds one of Scanline's images and pushes it to Amazon ECR; prints its URI with the digest. `scanline image build|push --help` tell more.
#
# usage: containers/build_and_push.sh <image> <region>      e.g. containers/build_and_push.sh scanline/byoc eu-central-1
#   TARGET                    byoc or script-mode    (default: byoc)
#   TENSORFLOW                cpu or gpu             (default: gpu, which runs on CPU instances too)
#   SCANLINE_BASE_IMAGE       what it stands on      (default: the Dockerfile's)
#   SCANLINE_BUILD_SECRETS    e.g. "id=npmrc,src=.." (default: none; the Dockerfile lists the ids)
#   SCANLINE_CONTAINER_TOOL   docker, buildah or podman (default: the first that works)
set -euo pipefail
if [ $# -ne 2 ]; then
  sed -n '4,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
scanline=$(dirname "${BASH_SOURCE[0]}")/../dist/bin/scanline.js
script_mode=()
if [ "${TARGET:-byoc}" = script-mode ]; then script_mode=(--script-mode); fi
node "$scanline" image build ${script_mode[@]+"${script_mode[@]}"} --tensorflow "${TENSORFLOW:-gpu}" --tag "$1"
node "$scanline" image push "$1" --region "$2"
