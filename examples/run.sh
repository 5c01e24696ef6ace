#!/usr/bin/env bash
# Run workload.sh under pyinit as PID 1 of a PID namespace, look inside, stop it, and show the result.
# Usage: run.sh PYINIT
set -euo pipefail
cd "$(dirname "$0")/.."

unshare=(unshare --pid --fork --mount-proc)
enter=(nsenter --pid --mount)
if [[ $EUID != 0 ]]; then # in a user namespace, any user may create the others
    unshare=(unshare --user --map-root-user --pid --fork --mount-proc)
    enter=(nsenter --user --preserve-credentials --pid --mount)
fi
command=("${unshare[@]}" "$1" -vv --log-format console -- examples/workload.sh)

fail() {
    echo "make run: $*" >&2
    exit 1
}

echo "# A workload under pyinit, which is PID 1 of a PID namespace and logs what it does (-vv)."
echo "\$ ${command[*]}"
exec {output}< <(exec "${command[@]}" 2>&1)
outside=$!
trap 'pkill --signal KILL --parent "$outside" || true' EXIT # in case it does not end

# There is no fixed wait: the workload prints when it is ready, and pyinit logs what it has reaped.
ready=0 reaped=0
until [[ $ready == 2 && $reaped == 5 ]]; do
    read -r -t 60 -u "$output" line || fail "pyinit or the workload ended before it was ready, or took longer than 60 s"
    echo "$line"
    case $line in
        "workload: ready"* | "daemon: ready") ready=$((ready + 1)) ;;
        *orphan_reaped*name=sort*) reaped=$((reaped + 1)) ;;
    esac
done

init=$(pgrep --parent "$outside")
processes=$("${enter[@]}" --target "$init" ps -e -o pid,ppid,stat,comm)
zombies=$(awk '$3 ~ /^Z/' <<<"$processes" | wc -l)
printf '\n# The processes inside: pyinit has reaped the orphans. A zombie would show as Z.\n'
printf '$ %s --target %s ps -e -o pid,ppid,stat,comm\n' "${enter[*]}" "$init"
printf '%s\nzombies: %s\n' "$processes" "$zombies"

printf '\n# SIGTERM for pyinit, from outside, as docker stop sends it.\n'
echo "\$ kill -TERM $init"
kill -TERM "$init"
# The output ends when all processes of the namespace have ended.
rest=$(timeout --foreground 60 cat <&"$output") || fail "pyinit did not exit within 60 s"
echo "$rest"
code=0
wait "$outside" || code=$?
trap - EXIT
echo "exit code: $code"

[[ $rest == *"daemon: SIGTERM came"* ]] || fail "expected the daemon to finish its work"
[[ $zombies == 0 ]] || fail "expected no zombies"
[[ $code == 42 ]] || fail "expected exit code 42, that of the workload"
