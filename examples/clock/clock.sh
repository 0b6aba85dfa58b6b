#!/bin/sh
# Prints the time once a second, until it is stopped.
trap 'echo "clock stopped"; exit 0' TERM
while true; do
    echo "it is $(date +%H:%M:%S)"
    sleep 1 &
    wait $!
done
