#!/bin/bash
# Make a Python base image from an interpreter of this machine, where no image registry answers.
#   base-image.sh PYTHON TAG
# For Debian-like machines. It holds that interpreter with pip, a shell, and the C libraries that
# wheels expect of any Linux; no package manager, so a Dockerfile on it may only install wheels.
set -euo pipefail
python=$1
tag=$2

prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
multiarch=$(uname -m)-linux-gnu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
libraries=$root/usr/lib/$multiarch

skeleton() {
    mkdir -p "$root"/{usr/bin,usr/lib64,usr/local/bin,tmp,var/tmp,root,home,etc/ssl/certs,proc,dev,sys} "$libraries"
    chmod 1777 "$root/tmp" "$root/var/tmp"
    local name
    for name in bin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    ln -s usr/bin "$root/sbin"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
    cp /etc/os-release "$root/etc/"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

# The interpreter without its tests, its GUI, and whatever was installed into it; then its own pip.
interpreter() {
    local lib=lib/python$version
    mkdir -p "$root/usr/local/lib"
    cp -aL "$prefix/bin/python$version" "$root/usr/local/bin/"
    ln -s "python$version" "$root/usr/local/bin/python3"
    ln -s python3 "$root/usr/local/bin/python"
    tar -C "$prefix" --exclude=__pycache__ --exclude='*.a' --exclude="$lib/"{test,idlelib,tkinter,site-packages,dist-packages,EXTERNALLY-MANAGED,'config-*'} -cf - "$lib" |
        tar -C "$root/usr/local" -xf -
    find "$prefix/lib" -maxdepth 1 -name 'libpython*.so*' -exec cp -a {} "$root/usr/local/lib/" \;
    # Debian's own Python looks for packages in dist-packages, every other one in site-packages.
    "$python" - "$root/usr/local/$lib/"{site,dist}-packages <<'PYTHON'
import ensurepip, pathlib, sys, zipfile
wheels = getattr(ensurepip, "_WHEEL_PKG_DIR", None) or pathlib.Path(ensurepip.__file__).parent / "_bundled"
[wheel] = pathlib.Path(wheels).glob("pip-*.whl")
for target in sys.argv[1:]:
    zipfile.ZipFile(wheel).extractall(target)
PYTHON
}

# A shell, and the few programs that Dockerfiles and entry points call.
programs() {
    cp -L /bin/dash "$root/usr/bin/sh"
    local name
    for name in ls cat mkdir rm cp mv chmod chown ln id env grep sed sleep echo true tar gzip; do
        cp -L "$(type -P "$name")" "$root/usr/bin/"
    done
}

# All of the C library (wheels ask for its parts by name), then what anything copied links to.
shared_libraries() {
    local file
    dpkg -L libc6 libgcc-s1 libstdc++6 zlib1g | grep -E "/$multiarch/[^/]+\.so[^/]*$" | while read -r file; do
        if [ -e "$file" ]; then cp -P "$file" "$libraries/"; fi
    done
    file=$(ldd /bin/dash | awk '/ld-linux/{print $1}')
    cp -L "$file" "$root$file"
    find "$root/usr" -type f \( -name '*.so*' -o -path '*/bin/*' \) -print0 | { xargs -0 ldd 2>/dev/null || true; } |
        awk '/=> \//{print $3}' | sort -u | while read -r file; do
        case $file in "$prefix"/*) ;; *) cp -nL "$file" "$libraries/" ;; esac
    done
    printf '/usr/local/lib\n/usr/lib/%s\n' "$multiarch" >"$root/etc/ld.so.conf"
    /sbin/ldconfig -r "$root"
}

skeleton
interpreter
programs
shared_libraries
tar -C "$root" --numeric-owner --owner=0 --group=0 -cf - . |
    docker import \
        -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' -c 'ENV LANG=C.UTF-8' \
        -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
        -c 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
        -c 'CMD ["python3"]' - "$tag" >/dev/null
