#!/bin/sh
# A wrapper without `exec`: the shell stays between the init and the program.

./helper.py server 1
echo "wrapper: the server has ended"
