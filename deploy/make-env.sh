#!/bin/sh
# Prints deploy/env.example with random passwords: sh deploy/make-env.sh > .env
set -eu
while IFS= read -r line; do
    case $line in
        # Begins with a letter: see env.example.
        *=change*me) printf '%s=p%s\n' "${line%%=*}" "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" ;;
        *) printf '%s\n' "$line" ;;
    esac
done < "$(dirname "$0")/env.example"
