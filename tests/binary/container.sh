# Runs as root in a container with Docker's defaults; /opt/secllama is the one file. Each line of output is one thing that was
# seen; the test compares them.
set -eu
fail() {
  echo "FAILED: $*"
  exit 1
}
cd "$HOME"

echo "uid $(id -u), capabilities $(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)"
if unshare --net true 2>/dev/null; then fail "namespaces can be made"; fi
echo "no namespaces"

# A model in root's own store, too, which nobody else may enter.
/opt/secllama import /opt/model --name mine >/dev/null 2>log || fail "import: $(cat log)"
mkfifo ready
began=$(date +%s%N)
/opt/secllama serve --ephemeral --verbose --port 0 --ready-fd 3 >banner 2>&1 3>ready &
server=$!
read -r line <ready || fail "serve ended: $(cat banner)"
port=$(printf '%s' "$line" | sed 's/.*"proxyPort":\([0-9]*\).*/\1/')
for model in demo mine; do
  answer=$(echo 'What is network isolation?' | /opt/secllama run "$model" --temperature 0 2>log) ||
    fail "run $model: $(cat log banner)"
  case $answer in
    *socket*) echo "$model answers" ;;
    *) fail "$answer" ;;
  esac
  [ "$model" = mine ] || echo "waited $((($(date +%s%N) - began) / 1000000))"
done
printf '%s' "$line" | sed 's/.*\("isolation":"[a-z]*"\).*/\1/'
echo
# perl is the only program of the base system that opens a connection.
perl -MIO::Socket::INET -e '
  my $s = IO::Socket::INET->new("127.0.0.1:'"$port"'") or die;
  print $s "GET /api/version HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  while (<$s>) { print lc if /^secllama-/i }' | tr -d '\r' | sort

for folder in "$HOME/.cache/secllama" "$HOME/.local/share/secllama"; do
  if setpriv --reuid 65432 --regid 65432 --clear-groups ls "$folder" >/dev/null 2>&1; then
    fail "the runners' user can enter $folder"
  fi
done
echo "its paths are closed to the runners' user"
found=0
for process in /proc/[0-9]*; do
  [ "$(sed -n 's/^Name:[[:space:]]*//p' "$process/status")" = secllama-runner ] || continue
  found=$((found + 1))
  for word in 'Uid:	\(654[3-9][0-9]\)	\1	\1	\1' 'CapEff:	0000000000000000' 'CapBnd:	0000000000000000' \
    'NoNewPrivs:	1' 'Seccomp:	2'; do
    grep -q "^$word" "$process/status" || fail "runner: no $word: $(cat "$process/status")"
  done
done
echo "$found runners, each without root, rights and calls"
sed -n 's/^ *\(enforced\|on its word\) *\([a-z 0-9]*\):.*/\1 \2/p; s/^ *missing.*/&/p' banner
kill -TERM "$server"
wait "$server" || fail "serve ended with $?: $(cat banner)"
for process in /proc/[0-9]*; do
  case $(sed -n 's/^Name:[[:space:]]*//p' "$process/status" 2>/dev/null) in
    secllama*) fail "$(cat "$process/status") is left" ;;
  esac
done
echo "ended cleanly"
