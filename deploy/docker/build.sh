#!/bin/bash
# Build the image of each service, or of those named: build.sh [SERVICE ...]
#   PYTHON_IMAGE  the base; else python:3.13-slim, else one made from this machine's Python
#   VERSION       the images' tag (dev)
#   PACKAGES      Debian packages to add: "ffmpeg sox libsox-fmt-base" for llm with voice
set -euo pipefail
cd "$(dirname "$0")/../.."
public=python:3.13-slim
version=${VERSION:-dev}

# Clients before 23 bring BuildKit themselves; newer ones need the buildx plugin.
client() {
    local path major
    while read -r path; do
        major=$("$path" version --format '{{.Client.Version}}' 2>/dev/null | cut -d. -f1)
        if "$path" buildx version >/dev/null 2>&1 || [ "${major:-99}" -lt 23 ]; then
            echo "$path"
            return
        fi
    done < <(type -ap docker)
    echo "images need Docker with BuildKit: 20.10, or newer with the buildx plugin" >&2
    exit 1
}

base() {
    if [ -n "${PYTHON_IMAGE:-}" ]; then
        echo "$PYTHON_IMAGE"
    elif docker image inspect "$public" >/dev/null 2>&1 || docker pull --quiet "$public" >/dev/null 2>&1; then
        echo "$public"
    else
        docker image inspect local/python:base >/dev/null 2>&1 || deploy/docker/base-image.sh python3 local/python:base
        echo local/python:base
    fi
}

services=("$@")
if [ ${#services[@]} -eq 0 ]; then services=(ingress moderation context llm egress); fi
docker=$(client)
image=$(base)
echo "base image: $image"
for service in "${services[@]}"; do
    DOCKER_BUILDKIT=1 "$docker" build --quiet --file deploy/docker/Dockerfile \
        --build-arg "SERVICE=$service" --build-arg "PYTHON_IMAGE=$image" \
        ${PACKAGES:+--build-arg "PACKAGES=$PACKAGES"} \
        ${PIP_INDEX_URL:+--build-arg "PIP_INDEX_URL=$PIP_INDEX_URL"} \
        --tag "queqiao/$service:$version" . >/dev/null
    echo "built: queqiao/$service:$version"
done
