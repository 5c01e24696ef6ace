#!/usr/bin/env bash
# Run a program as PID 1 of a PID namespace, and run `pyinit --inspect` there to see what it does with signals.
# Usage: inspect.sh bash|c|gunicorn|nginx|node|postgres|pyinit [OPTION OF INSPECT]...
set -euo pipefail
cd "$(dirname "$0")"

program=$1
shift
folder=$(mktemp -d)
as_user=() # postgres does not run as root
enter=(nsenter --pid --mount)
unshare=(unshare --pid --fork --mount-proc)
if [[ $EUID != 0 ]]; then # in a user namespace, any user may create the others
    unshare=(unshare --user --map-root-user --pid --fork --mount-proc)
    as_user=(unshare --user --map-user=1000 --map-group=1000)
elif [[ $program == postgres ]]; then
    chown postgres "$folder"
    as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi

case $program in
    bash) command=(bash -c 'echo ready; while :; do sleep infinity; done') ready=ready ;;
    c)
        printf '%s\n' '#include <stdio.h>' '#include <unistd.h>' \
            'int main(void) { puts("ready"); fflush(stdout); for (;;) pause(); }' >"$folder/init.c"
        gcc -o "$folder/init" "$folder/init.c"
        command=("$folder/init") ready=ready
        ;;
    gunicorn)
        printf 'def app(environ, start):\n    start("200 OK", [])\n    return []\n' >"$folder/wsgi.py"
        command=(gunicorn --chdir "$folder" --bind "unix:$folder/http" wsgi:app) ready="Booting worker"
        if [[ $(gunicorn --help) == *--no-control-socket* ]]; then # without a thread that starts later, and blocks all signals for a moment
            command+=(--no-control-socket)
        fi
        ;;
    nginx)
        printf 'error_log stderr notice; pid %s/pid; events {} http { access_log off;
            client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s; uwsgi_temp_path %s;
            scgi_temp_path %s; server { listen unix:%s/http; } }\n' \
            "$folder" "$folder"/{body,proxy,fastcgi,uwsgi,scgi} "$folder" >"$folder/conf"
        command=(/usr/sbin/nginx -e stderr -c "$folder/conf" -g 'daemon off; user root;') ready="start worker process "
        ;;
    node)
        command=(node -e 'require("http").createServer().listen(process.argv[1], () => console.log("ready"))'
            "$folder/http")
        ready=ready
        ;;
    postgres)
        postgres=$(echo /usr/lib/postgresql/*/bin)
        "${as_user[@]}" "$postgres/initdb" --pgdata "$folder/data" --no-sync >"$folder/log" 2>&1
        command=("${as_user[@]}" "$postgres/postgres" -D "$folder/data" -k "$folder" -c listen_addresses=)
        ready="ready to accept connections"
        ;;
    pyinit) command=(pyinit -- bash -c 'echo ready; exec sleep infinity') ready=ready ;;
    *) echo "inspect.sh: unknown program $program: choose bash, c, gunicorn, nginx, node, postgres or pyinit" >&2 && exit 1 ;;
esac

# In Bash 5.3, a command in a substitution ignores SIGINT and SIGQUIT, as one in the background does.
exec {output}< <(exec env --default-signal=INT,QUIT "${unshare[@]}" "${command[@]}" 2>&1)
outside=$!
if [[ $EUID != 0 ]]; then # the user namespace that owns the others; postgres is in one below it
    enter=(command -p nsenter "--user=/proc/$outside/ns/user" --preserve-credentials --pid --mount)
fi
end() {
    pkill --signal KILL --parent "$outside" || true # this kills PID 1 and so the whole namespace
    cat <&"$output" >/dev/null
    rm -rf "$folder"
}
trap end EXIT
until [[ ${line-} == *"$ready"* ]]; do
    read -r -t 60 -u "$output" line || { echo "inspect.sh: $program did not become ready: ${line-}" >&2 && exit 1; }
done
init=$(pgrep --parent "$outside")
until [[ $(ps -o stat= -p "$init") == S* ]]; do :; done # it has finished its start
"${enter[@]}" --target "$init" pyinit --inspect "$@"
