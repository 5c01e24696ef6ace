#!/bin/sh
# A workload as many containers have it: workers, and background jobs that nobody waits for.

stop() {
    # shellcheck disable=SC2086 # one word for each worker
    kill $workers
    wait
    echo "workload: SIGTERM came, the workers are gone, leaving with 42"
    exit 42
}

workers=
for _ in 1 2 3; do
    sleep infinity &
    workers="$workers $!"
done
for _ in 1 2 3 4 5; do
    # The inner shell leaves at once: its job is an orphan, and init's to reap when it is done.
    sh -c 'sort /etc/passwd >/dev/null &'
done
trap stop TERM
echo "workload: ready, 3 workers run, 5 jobs were left as orphans"
wait
