#!/bin/sh
# A workload like that of many containers: workers, and background jobs that it does not wait for.

stop() {
    # shellcheck disable=SC2086 # one word for each worker
    kill $workers
    # shellcheck disable=SC2086 # without stderr: sh prints that each was terminated
    wait $workers 2>/dev/null
    echo "workload: SIGTERM came, the workers have exited, now I exit with 42"
    exit 42
}

workers=
for _ in 1 2 3; do
    sleep infinity &
    workers="$workers $!"
done
# A daemon that stop() does not know: without pyinit's drain it would be killed.
setsid sh -c 'trap "echo \"daemon: SIGTERM came, my work is finished\"; exit 0" TERM
              sleep infinity &
              echo "daemon: ready"
              wait' &
for _ in 1 2 3 4 5; do
    # The inner shell exits at once, so its job is an orphan, which init reaps at its end.
    sh -c 'sort /etc/passwd >/dev/null &'
done
trap stop TERM
echo "workload: ready, with 3 workers, a daemon, and 5 jobs that are orphans now"
wait
