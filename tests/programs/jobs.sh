#!/bin/bash
# Two background jobs and a trap that ends them: jobs.sh REQUESTS ANSWERS
# REQUESTS and ANSWERS are FIFOs.

answer() {
  while read -r word <"$1"; do
    echo "hello $word" >"$2"
  done
}

stop() {
  kill "$answerer" "$sleeper"
  wait "$answerer"
  echo "answerer: $?"
  wait "$sleeper"
  echo "sleeper: $?"
  exit 7
}

trap stop TERM
answer "$1" "$2" &
answerer=$!
sleep infinity &
sleeper=$!
echo 'jobs run'
wait
