#!/usr/bin/env bash
# Run workload.sh under pyinit as PID 1 of a PID namespace, look inside, stop it, show what happens.
# Usage: run.sh PYINIT
set -euo pipefail
cd "$(dirname "$0")/.."

unshare=(unshare --pid --fork --mount-proc)
enter=(nsenter --pid --mount)
if [[ $EUID != 0 ]]; then # in a user namespace of one's own one may make the others
    unshare=(unshare --user --map-root-user --pid --fork --mount-proc)
    enter=(nsenter --user --preserve-credentials --pid --mount)
fi
command=("${unshare[@]}" "$1" -vv --log-format console -- examples/workload.sh)

fail() {
    echo "make run: $*" >&2
    exit 1
}

echo "# A workload under pyinit, which is PID 1 of a namespace and tells what it does."
echo "\$ ${command[*]}"
exec {output}< <(exec "${command[@]}" 2>&1)
outside=$!
trap 'pkill --signal KILL --parent "$outside" || true' EXIT # should it not come to its end

# Nothing here waits for time to pass: the workload says when it is ready, pyinit what it reaped.
ready=0 reaped=0
until [[ $ready == 2 && $reaped == 5 ]]; do
    read -r -t 60 -u "$output" line || fail "pyinit or the workload did not say what was awaited"
    echo "$line"
    case $line in
        "workload: ready"* | "daemon: ready") ready=$((ready + 1)) ;;
        *orphan_reaped*name=sort*) reaped=$((reaped + 1)) ;;
    esac
done

init=$(pgrep --parent "$outside")
processes=$("${enter[@]}" --target "$init" ps -e -o pid,ppid,stat,comm)
zombies=$(awk '$3 ~ /^Z/' <<<"$processes" | wc -l)
printf '\n# The processes inside, once the orphans were reaped.\n'
printf '$ %s --target %s ps -e -o pid,ppid,stat,comm\n' "${enter[*]}" "$init"
printf '%s\nzombies: %s\n' "$processes" "$zombies"

printf '\n# SIGTERM for pyinit, from outside.\n'
echo "\$ kill -TERM $init"
kill -TERM "$init"
# To the end of the output, which comes when all in the namespace are gone.
rest=$(timeout --foreground 60 cat <&"$output") || fail "pyinit did not end"
echo "$rest"
code=0
wait "$outside" || code=$?
trap - EXIT
echo "exit code: $code"

[[ $rest == *"daemon: SIGTERM came"* ]] || fail "expected the daemon to finish"
[[ $zombies == 0 ]] || fail "expected no zombies"
[[ $code == 42 ]] || fail "expected exit code 42, the workload's"
