#!/bin/sh
# Install the Debian or Ubuntu packages that a target of the Makefile needs and that are missing.
# Usage: setup.sh run|lab|bench|core|test|e2e|elsewhere|installs|musl|arm64|programs|hung|rehearsals|frameworks|escapes [PYTHON]
#
# If nothing is missing, it prints nothing and needs neither root nor a network.
set -eu

purpose=$1
python=${2:-python3}
name=${python##*/}
policy=/usr/sbin/policy-rc.d
PATH=$PATH:/usr/sbin:/sbin # where nginx is; not in the PATH of every user

die() {
    echo "setup: $*" >&2
    exit 1
}

# Without root, a user namespace gives the right to make a PID namespace, if the kernel permits it.
check_namespaces() {
    if [ "$(id -u)" = 0 ]; then
        set -- unshare --pid --fork --mount-proc
        advice="in a container, start the container with --privileged"
    else
        set -- unshare --user --map-root-user --pid --fork --mount-proc
        advice="run make as root, or allow unprivileged user namespaces"
    fi
    refusal=$("$@" true 2>&1) ||
        die "no PID namespace can be created here (${refusal#unshare: }): $advice"
}

program() { command -v "$1" >/dev/null || missing="$missing $2"; }
file() { [ -e "$1" ] || missing="$missing $2"; }

# Each program or file that is needed, and its package.
find_missing() {
    missing=
    find_missing_python
    program make make
    program gcc gcc
    file /usr/include/stdio.h libc6-dev
    file /usr/include/sys/capability.h libcap-dev
    program nsenter util-linux
    program ps procps
    case $purpose in
        lab) program strace strace ;;
        bench)
            find_missing_for_core
            program valgrind valgrind
            find_missing_beside
            ;;
        core) find_missing_for_core ;;
        test | rehearsals | frameworks) find_missing_for_test ;;
        e2e) find_missing_for_e2e ;;
        elsewhere | installs | musl) find_missing_for_roots ;;
        arm64)
            find_missing_for_roots
            file /usr/lib/binfmt.d/qemu-aarch64.conf qemu-user-static
            ;;
        programs) find_missing_programs ;;
        hung)
            find_missing_for_test
            program java default-jre-headless
            ;;
        escapes)
            find_missing_for_core
            program bwrap bubblewrap
            ;;
    esac
}

find_missing_for_core() {
    program busybox busybox
    program strace strace
    program tini tini
    program dumb-init dumb-init
    program catatonit catatonit
}

find_missing_for_test() {
    find_missing_for_core
    program curl curl
    program faketime faketime
    program valgrind valgrind
    program nginx nginx-light
    program redis-server redis-server
    file /usr/lib/postgresql/*/bin/postgres postgresql
    program node nodejs
    file /usr/sbin/php-fpm[0-9]* php-fpm
    program uwsgi-core uwsgi-core
    file /usr/lib/uwsgi/plugins/python3_plugin.so uwsgi-plugin-python3
}

find_missing_for_e2e() {
    [ "$(id -u)" = 0 ] || die "make e2e starts container engines: run it as root"
    file /usr/bin/docker docker.io # not another program of that name
    program podman podman
    program runc runc
    program crun crun
    program catatonit catatonit # the first process of a Pod
    file /usr/bin/tini-static tini
    program mmdebstrap mmdebstrap
}

find_missing_for_roots() {
    [ "$(id -u)" = 0 ] || die "make $purpose makes a root file system: run it as root"
    program mmdebstrap mmdebstrap
    file /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
}

find_missing_programs() {
    [ "$(id -u)" = 0 ] || die "make programs starts servers that become other users: run it as root"
    program apache2 apache2
    program cron cron
    program curl curl
    program git git
    program haproxy haproxy
    program javac default-jdk-headless
    program mysqld_safe mariadb-server
    program node nodejs
    program npm npm
    program runsvdir runit
    program ssh openssh-client
    program sshd openssh-server
    program squid squid
    program supervisord supervisor
}

find_missing_python() {
    if ! command -v "$python" >/dev/null; then
        [ "$python" = "$name" ] || die "$python does not exist"
        missing=" $name $name-venv $name-dev"
        return
    fi
    version=$("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null) ||
        die "$python exists but does not run"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is Python $version, but pyinit needs 3.11 or newer: choose one, such as PYTHON=python3.11"
    find_missing_of "$python" "$name"
}

find_missing_beside() {
    beside=$("${0%/*}/beside.sh" "$python")
    [ -z "$beside" ] || find_missing_of "$beside" "${beside##*/}"
}

# Parts of an installed interpreter that Debian has in packages of their own.
find_missing_of() {
    "$1" -c 'import ensurepip' 2>/dev/null || missing="$missing $2-venv"
    headers=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    file "$headers/Python.h" "$2-dev"
}

# shellcheck disable=SC2086 # $missing is one word for each package
install_missing() {
    command -v apt-get >/dev/null || die "install these packages, there is no apt-get here:$missing"
    [ "$(id -u)" = 0 ] || die "packages are missing: run as root apt-get install$missing"
    echo "setup: apt-get install$missing" >&2
    if [ ! -e "$policy" ]; then # the tests start the servers by themselves
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=300 update -qq
    apt-get -o DPkg::Lock::Timeout=300 install -qq --no-install-recommends $missing >/dev/null ||
        die "apt-get could not install all of:$missing"
    disable_servers
}

# The machine must not start these servers at boot only because the tests installed them.
disable_servers() {
    command -v systemctl >/dev/null || return 0
    for unit in nginx redis-server postgresql apache2 cron haproxy mariadb squid supervisor; do
        case "$missing " in
            *" $unit"[\ -]*) systemctl --quiet disable "$unit" ;;
        esac
    done
    case "$missing " in
        *" apache2 "*) systemctl --quiet disable apache-htcacheclean ;;
    esac
    case "$missing " in
        *" openssh-server "*) systemctl --quiet disable ssh ;;
    esac
    case "$missing " in
        *" docker.io "*) systemctl --quiet disable docker.service docker.socket containerd.service ;;
    esac
    case "$missing " in
        *" podman "*) systemctl --quiet disable podman.service podman.socket \
            podman-auto-update.timer podman-auto-update.service podman-restart.service ;;
    esac
    case "$missing " in
        *" php-fpm "*)
            for unit in /lib/systemd/system/php*-fpm.service; do # its name contains a version
                systemctl --quiet disable "${unit##*/}"
            done
            ;;
    esac
}

check_namespaces
find_missing
if [ -n "$missing" ]; then
    install_missing
    find_missing
    [ -z "$missing" ] || die "still missing after the installation:$missing"
fi
