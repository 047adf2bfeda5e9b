# A folder with Debian's base system and the one file: first answer with two commands, `serve` and `run`, at a terminal that
# script(1) makes. Each line of output is one thing that was seen.
fail() {
  echo "FAILED: $*"
  exit 1
}
cd "$HOME" || exit 1

echo "without a terminal: $(/opt/secllama serve </dev/null 2>&1 | grep -v unpacking)"

# said TEXT FILE: waits until the file has it.
said() {
  until grep -q "$1" "$2"; do
    kill -0 "$server" 2>/dev/null || fail "$(cat "$2")"
    sleep 0.1
  done
}
for choice in 2 1 again; do
  rm -f keys && mkfifo keys
  : >out
  began=$(date +%s%N)
  script --quiet --flush --return --command '/opt/secllama serve' out <keys >/dev/null &
  server=$!
  exec 5>keys
  case $choice in
    again) said 'as chosen before' out ;;
    *) said '1 or 2' out && echo "$choice" >&5 ;;
  esac
  if [ "$choice" != 2 ]; then
    said 'Passphrase' out
    echo 'seven brown horses over there' >&5
  fi
  if [ "$choice" = 1 ]; then
    said 'The same again' out
    echo 'seven brown horses over there' >&5
  fi
  said 'is ready' out
  echo "chose $choice: $(echo 'What is network isolation?' | /opt/secllama run demo --temperature 0 2>&1 | grep -o 'no socket')"
  echo "waited $((($(date +%s%N) - began) / 1000000))"
  sed -n 's/^ *key *[0-9a-f]* \(in [a-z ]*\).*/\1/p' out
  printf '\003' >&5
  wait "$server"
  exec 5>&-
done
ls "$HOME/.local/share/secllama/key-file"
