#!/usr/bin/env bash
# An init in bash: a loop that answers every line.
echo ready
while read -r line; do
    echo "$line"
done
