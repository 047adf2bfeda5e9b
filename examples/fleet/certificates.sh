#!/bin/sh
# Certificates for a fleet, by openssl: sh certificates.sh BALANCER NAME…
# It makes, in this folder, an authority (ca.pem, ca.key), for each NAME NAME.pem and NAME.key, signed by it; and for the
# balancer BALANCER.pem and BALANCER.key, signed by itself: clients are given it when they are paired. HAProxy reads both
# of them from BALANCER.both.pem. Keep the keys where only their program can read them, and ca.key nowhere else.
set -eu
umask 077
curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
balancer=$1
shift
openssl req -x509 $curve -days 825 -keyout ca.key -out ca.pem -subj "/CN=authority of the fleet"
openssl req -x509 $curve -days 825 -keyout "$balancer.key" -out "$balancer.pem" -subj "/CN=$balancer" \
  -addext "subjectAltName=DNS:$balancer" -addext "basicConstraints=critical,CA:FALSE"
cat "$balancer.pem" "$balancer.key" > "$balancer.both.pem"
for name in "$@"; do
  openssl req $curve -keyout "$name.key" -out "$name.csr" -subj "/CN=$name"
  printf 'subjectAltName=DNS:%s\n' "$name" > "$name.ext"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile "$name.ext" -out "$name.pem"
  rm "$name.csr" "$name.ext"
done
