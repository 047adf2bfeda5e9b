# Runs inside a root file system that holds Debian's base system and nothing else; /opt/secllama is the one file. Each line
# of output is one thing that worked; the test compares them.
set -eu
secllama=/opt/secllama
fail() {
  echo "FAILED: $*"
  exit 1
}

for program in deno node python3 curl wget gcc secret-tool; do
  if command -v "$program" >/dev/null; then fail "$program is here"; fi
done
echo "nothing but the base system, uid $(id -u)"

cd "$HOME"
umask 077
echo 'correct horse battery staple' >phrase
key() {
  word=$1
  shift
  "$secllama" key "$word" --key-file "$HOME/keys" --passphrase-fd 4 "$@" 4<phrase
}
active() {
  key status --json | sed -n 's/.*"kid": *"\([0-9a-f]*\)".*/\1/p' | head -n 1
}
key init >/dev/null || fail "key init: $?"
before=$(active)
[ -n "$before" ] || fail "no key: $(key status --json)"
echo "made a key in a passphrase-wrapped file"

mkfifo ready
"$secllama" serve --key-file "$HOME/keys" --passphrase-fd 4 --port 0 --proxy-port 0 --ready-fd 3 \
  4<phrase 3>ready >banner 2>errors &
server=$!
read -r line <ready || fail "serve ended: $(cat banner errors)"
port=$(printf '%s' "$line" | sed 's/.*"proxyPort":\([0-9]*\).*/\1/')
case $line in
  *'"isolation":"strict"'*) echo "serves, isolation strict" ;;
  *) fail "isolation: $line $(cat banner errors)" ;;
esac

ask() {
  echo 'What is network isolation?' |
    "$secllama" run demo --proxy-port "$port" --temperature 0 || fail "run: $(cat errors)"
}
case $(ask) in
  *socket*) echo "answers through the sealed path" ;;
  *) fail "the answer" ;;
esac

key rotate >/dev/null || fail "key rotate: $?"
after=$(active)
[ -n "$after" ] && [ "$after" != "$before" ] || fail "rotate: $before, then $after"
echo "rotated the key"
case $(ask) in
  *socket*) echo "answers after the rotation" ;;
  *) fail "the answer after the rotation" ;;
esac
if grep -q 'correct horse' keys; then fail "the passphrase is on disk"; fi

kill -TERM "$server"
code=0
wait "$server" || code=$?
[ "$code" = 0 ] || fail "serve ended with $code: $(cat errors)"
# What was killed has ended once its processor gets to it.
runners() {
  for process in /proc/[0-9]*; do
    if tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -q secllama-runner; then return 0; fi
  done
  return 1
}
tries=0
while runners; do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || fail "a runner is left"
  sleep 0.1
done
echo "ended cleanly"
