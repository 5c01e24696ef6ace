#!/bin/sh
# An entry point like that of many images: it starts helpers, and exits as soon as SIGTERM comes.

trap 'exit 0' TERM
./helper.py mailer 1 &
./helper.py uploader 2 &
wait
