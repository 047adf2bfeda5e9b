# journey.sh MODEL QUESTION [WORD OF serve…]: the two commands as they are typed, in a network of their own, where nobody has the ports.
ip link set lo up
cd "$HOME" || exit 1
model=$1 question=$2
shift 2
began=$(date +%s%N)
secllama serve "$@" >banner 2>&1 &
server=$!
until grep -q 'is ready' banner; do
  kill -0 "$server" 2>/dev/null || { cat banner && exit 1; }
  sleep 0.1
done
secllama run "$model" "$question" 2>errors
echo "waited $((($(date +%s%N) - began) / 1000000))"
cat errors
kill -TERM "$server"
wait "$server"
