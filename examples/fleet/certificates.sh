#!/bin/sh
# Certificates for a fleet, by openssl: sh certificates.sh BALANCER NAME…
# It makes, in this folder, an authority (ca.pem, ca.key), for each NAME NAME.pem and NAME.key, signed by it; and for the
# balancer BALANCER.pem and BALANCER.key, signed by itself: clients are given it when they are paired. HAProxy reads both
# of them from BALANCER.both.pem. Keep the keys where only their program can read them, and ca.key nowhere else.
# Keys that are there are kept: given again, in the same folder, it renews the certificates.
set -eu
umask 077
balancer=$1
shift
key() {
  test -f "$1.key" || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}
key ca
openssl req -x509 -key ca.key -days 825 -out ca.pem -subj "/CN=authority of the fleet"
key "$balancer"
openssl req -x509 -key "$balancer.key" -days 825 -out "$balancer.pem" -subj "/CN=$balancer" \
  -addext "subjectAltName=DNS:$balancer" -addext "basicConstraints=critical,CA:FALSE"
cat "$balancer.pem" "$balancer.key" > "$balancer.both.pem"
for name in "$@"; do
  key "$name"
  openssl req -new -key "$name.key" -out "$name.csr" -subj "/CN=$name"
  printf 'subjectAltName=DNS:%s\n' "$name" > "$name.ext"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile "$name.ext" -out "$name.pem"
  rm "$name.csr" "$name.ext"
done
