#!/usr/bin/env bash
# Builds Scanline's images with `scanline image build`, looks into the one of containers/byoc, and runs its commands as SageMaker does:
# split, train, serve, evaluate, and a job that must fail. The tests beside this file run on the images that it leaves.
#
# usage: test/containers/byoc.sh
#   BASE_IMAGE       what the image stands on            (default: the Dockerfile's)
#   BUILD_SECRETS    e.g. "--secret id=npmrc,src=..."    (default: none; the Dockerfile lists the ids)
#   TENSORFLOW       cpu or gpu                          (default: cpu)
#   IMAGE            the name that the image gets        (default: scanline/byoc:cpu, or :gpu)
#   SCRIPT_MODE_IMAGE   the same of script mode          (default: scanline/script-mode:cpu, or :gpu)
#
# Takes docker where its daemon answers, else podman (which finds what buildah has built); does nothing where neither is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

flavour=${TENSORFLOW:-cpu}
image=${IMAGE:-scanline/byoc:$flavour}
script_mode_image=${SCRIPT_MODE_IMAGE:-scanline/script-mode:$flavour}
read -ra secrets <<<"${BUILD_SECRETS:-}"

if docker info >/dev/null 2>&1; then
  tool=docker
elif command -v podman >/dev/null; then
  tool=podman
else
  echo 'skipped: no container tool (docker with its daemon, or podman)'
  exit 0
fi

work=$(mktemp -d)
label=scanline-byoc-$$

cleanup() {
  mapfile -t left < <("$tool" ps --all --quiet --filter "label=$label" 2>/dev/null)
  if [ ${#left[@]} -gt 0 ]; then "$tool" rm --force "${left[@]}" >/dev/null 2>&1; fi
  # files that a container wrote as root are not ours to remove
  rm -rf "$work" 2>/dev/null || "$tool" run --rm --network none -v "$work:/work" "$image" find /work -mindepth 1 -delete || true
  rm -rf "$work"
}
trap cleanup EXIT

pass() { echo "✓ $*"; }
fail() {
  echo "✗ $*" >&2
  exit 1
}
expect_file() { [ -s "$1" ] || fail "$2 left no ${1#"$work"/}; it printed: $(tail -20 "$work/log")"; }

# job NAME [--read-only] COMMAND...: a container without network that finds $work/NAME as /opt/ml, as training and processing jobs do
job() {
  local name=$1 options=()
  shift
  if [ "$1" = --read-only ]; then
    options=(--read-only --tmpfs /tmp)
    shift
  fi
  "$tool" run --rm --label "$label" --network none ${options[@]+"${options[@]}"} -v "$work/$name:/opt/ml" "$image" "$@" \
    >"$work/log" 2>&1
}

# --- build
build() {
  node dist/bin/scanline.js image build "$@" --tensorflow "$flavour" ${secrets[@]+"${secrets[@]}"} \
    ${BASE_IMAGE:+--base-image "$BASE_IMAGE"} >"$work/log" 2>&1 || fail "the build failed: $(tail -40 "$work/log")"
}
for built in "$image" "$script_mode_image"; do
  started=$SECONDS
  if [ "$built" = "$image" ]; then build --tag "$image"; else build --script-mode --tag "$script_mode_image"; fi
  megabytes=$(($("$tool" image inspect --format '{{.Size}}' "$built") / 1000000))
  [ "$flavour" = gpu ] || [ $megabytes -le 1100 ] || fail "the image $built has $megabytes MB; 1100 are allowed"
  pass "built $built in $((SECONDS - started)) s: $megabytes MB"
done

# --- what is in it, and what is not
mkdir "$work/contents"
# shellcheck disable=SC2016 # the container's shell expands it
job contents sh -c 'for tool in g++ gcc cc make python3 pip npm npx yarn tsc cdk; do ! command -v "$tool" || exit 1; done
  ! test -e node_modules/typescript -o -e node_modules/aws-cdk-lib -o -e node_modules/node-api-headers' ||
  fail "the image holds what only its build needs: $(cat "$work/log")"
pass 'no compiler, pip, npm, typescript or cdk inside'

job contents sh -c '! find / -xdev -perm /6000 -type f | grep .' || fail "programs that give rights: $(cat "$work/log")"
pass 'no setuid program inside'

# shellcheck disable=SC2016
job contents sh -c 'find / -xdev \( -path /run/secrets -o -name .npmrc -o -name pip.conf \) -size +0 -not -type d | grep . && exit 1 || exit 0' ||
  fail "settings that may hold a secret: $(cat "$work/log")"
for secret in ${secrets[@]+"${secrets[@]}"}; do
  file=${secret##*src=}
  [ "$file" != "$secret" ] && [ -f "$file" ] || continue
  first=$(grep -m1 '[=:]' "$file" || true)
  [ -z "$first" ] || ! "$tool" history --no-trunc "$image" | grep -qF "$first" || fail "$file is in the history"
done
pass 'no secret in the files or the history'

job contents cat sbom.cdx.json || fail 'the image has no bill of materials'
for part in pkg:npm/fastify@ pkg:pypi/tensorflow pkg:deb/debian/libc6@ pkg:generic/node@; do
  grep -qF "$part" "$work/log" || fail "the bill of materials lacks $part"
done
pass "bill of materials: $(grep -c '"purl"' "$work/log") components"

# --- split: 10 images of each class
data=$work/split/processing/input/data
for class in examples/mni-planes/images/*/; do
  mkdir -p "$data/$(basename "$class")"
  find "$class" -name '*.png' | sort | sed -n 1,10p | xargs cp -t "$data/$(basename "$class")"
done
job split split --fractions 0.6,0.2,0.2 || fail "split ended with $?: $(cat "$work/log")"
parts=$work/split/processing/output
for part in train validation test; do
  [ -n "$(find "$parts/$part" -name '*.png' | sed -n 1p)" ] || fail "split left no images for $part"
done
pass "split: $(find "$parts/train" -name '*.png' | wc -l) images to train on"

# --- train
mkdir -p "$work"/train/{input/config,input/data,model,output}
cp -r "$parts/train" "$parts/validation" "$work/train/input/data/"
echo '{"img_size": "32", "num_epochs": "1", "batch_size": "8"}' >"$work/train/input/config/hyperparameters.json"
job train --read-only train || fail "train ended with $?: $(cat "$work/log")"
model=$(echo "$work"/train/model/*/best_model_1)
for file in config.json model.safetensors saved_model/saved_model.pb; do expect_file "$model/$file" train; done
[ ! -e "$work/train/output/failure" ] || fail 'train succeeded, and left a failure'
pass "train, on a read-only root: ${model#"$work/train"/}"

# --- serve: as SageMaker does, but for what it would allow besides: no root, nothing to write on
network=()
if [ "$tool" = podman ] && command -v slirp4netns >/dev/null; then network=(--network slirp4netns); fi
server=$("$tool" run --detach --label "$label" ${network[@]+"${network[@]}"} -p 127.0.0.1::8080 --user 65534:65534 --read-only \
  --tmpfs /tmp -v "$work/train/model:/opt/ml/model:ro" "$image" serve)
address=$("$tool" port "$server" 8080/tcp | sed -n 1p)
for _ in {1..120}; do
  if curl --silent --fail "http://$address/ping" >/dev/null; then break; fi
  sleep 0.5
done
curl --silent --fail --max-time 2 "http://$address/ping" >/dev/null || fail "no /ping: $("$tool" logs "$server" 2>&1)"
sample=$(find "$parts/test" -name '*.png' | sort | sed -n 1p)
answer=$(curl --silent --show-error --fail -H 'Content-Type: image/png' --data-binary "@$sample" "http://$address/invocations")
[[ $answer == *'"axial"'* ]] || fail "/invocations names no class: $answer"
status=$(curl --silent --output /dev/null --write-out '%{http_code}' -H 'Content-Type: image/png' --data-binary 'no image' \
  "http://$address/invocations")
[ "$status" = 400 ] || fail "/invocations answers $status to what is no image, not 400"
"$tool" stop -t 20 "$server" >/dev/null
status=$("$tool" inspect --format '{{.State.ExitCode}}' "$server")
[ "$status" = 0 ] || fail "serve ended with $status at SIGTERM"
pass "serve: $answer"

# --- evaluate: the model comes as SageMaker hands it on
mkdir -p "$work"/evaluate/processing/input/model
cp -r "$parts/test" "$work/evaluate/processing/input/"
tar -C "$work/train/model" -czf "$work/evaluate/processing/input/model/model.tar.gz" .
job evaluate evaluate || fail "evaluate ended with $?: $(cat "$work/log")"
expect_file "$work/evaluate/processing/output/evaluation/evaluation.json" evaluate
pass "evaluate: $(tail -1 "$work/log")"

# --- a wrong hyperparameter
mkdir -p "$work"/wrong/{input/config,model,output}
cp -r "$work/train/input/data" "$work/wrong/input/"
echo '{"num_epochs": "many"}' >"$work/wrong/input/config/hyperparameters.json"
status=0
job wrong train || status=$?
[ "$status" = 1 ] || fail "train with a wrong hyperparameter ended with $status, not 1"
grep -q num_epochs "$work/wrong/output/failure" || fail 'the failure does not name the wrong hyperparameter'
pass "failure: $(head -2 "$work/wrong/output/failure" | tr '\n' ' ')"
