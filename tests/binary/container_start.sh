# Runs in a container: the first answer, or why there is none. What it prints is compared by the test.
cd "$HOME" || exit 1
mkfifo ready
/opt/secllama serve --ephemeral --verbose --port 0 --ready-fd 3 >banner 2>&1 3>ready &
server=$!
read -r line <ready
if [ -z "$line" ]; then
  grep -E '^(error|hint):' banner
  exit 0
fi
echo 'What is network isolation?' | /opt/secllama run demo --temperature 0 2>&1 | grep -o 'no socket' || cat banner
printf '%s' "$line" | sed 's/.*"isolation":"\([a-z]*\)".*/\1/'
echo
sed -n 's/^ *\(enforced\|on its word\|not planned\) *\(network namespace\|private root\|landlock\|unprivileged user\):.*/\1 \2/p' banner
kill -TERM "$server"
wait "$server"
