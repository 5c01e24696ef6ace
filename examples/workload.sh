#!/bin/sh
# A workload as many containers have it: workers, and background jobs that nobody waits for.

stop() {
    # shellcheck disable=SC2086 # one word for each worker
    kill $workers
    # shellcheck disable=SC2086 # sh says of each that it was terminated
    wait $workers 2>/dev/null
    echo "workload: SIGTERM came, the workers are gone, leaving with 42"
    exit 42
}

workers=
for _ in 1 2 3; do
    sleep infinity &
    workers="$workers $!"
done
# A daemon of its own, which stop() knows nothing of: without a drain it would be killed.
setsid sh -c 'trap "echo \"daemon: SIGTERM came, my work is finished\"; exit 0" TERM
              sleep infinity &
              echo "daemon: ready"
              wait' &
for _ in 1 2 3 4 5; do
    # The inner shell leaves at once: its job is an orphan, and init's to reap when it is done.
    sh -c 'sort /etc/passwd >/dev/null &'
done
trap stop TERM
echo "workload: ready, 3 workers and a daemon run, 5 jobs were left as orphans"
wait
