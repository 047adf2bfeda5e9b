#!/bin/sh
# A step of a pipeline: no key store, no terminal, nothing left behind. Needs the one file `secllama` and a POSIX shell.
#
#     SECLLAMA=./secllama examples/ci/pipeline.sh "What is network isolation?"
#
# Writes the answer to standard output. Exit code: 0, or that of what failed (secllama help lists them).
set -eu

secllama=${SECLLAMA:-secllama}
prompt=${1:?usage: pipeline.sh PROMPT}

dir=$(mktemp -d)
server=
finish() {
  code=$?
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  rm -rf "$dir"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The server: a key in memory, free ports, no banner. It says on descriptor 3 when it is ready, and where.
mkfifo "$dir/ready"
"$secllama" serve --ephemeral --quiet --port 0 --proxy-port 0 --ready-fd 3 3>"$dir/ready" &
server=$!

# Ends at once, with nothing, if the server does: its error is on standard error.
if ! read -r ready <"$dir/ready"; then
  code=0
  wait "$server" || code=$?
  server=
  exit "$code"
fi
port=$(printf '%s' "$ready" | sed 's/.*"proxyPort":\([0-9]*\).*/\1/')

# The prompt on standard input: an argument can be seen by other programs of this machine.
printf '%s\n' "$prompt" | "$secllama" run demo --proxy-port "$port" --temperature 0 --seed 1 --json
