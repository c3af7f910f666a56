#!/usr/bin/env bash
# openssl-bundle.bash CA_FOLDER NAME p256|rsa2048 - the delivery of one client with openssl alone:
# key, the same key encrypted, certificate, PKCS#12, passphrase, CA certificate.
set -euo pipefail
cd "$1"
name=$2
mkdir "$name"
openssl rand -hex 8 >"$name/$name.pass"
case $3 in
p256) openssl ecparam -name prime256v1 -genkey -noout -out "$name/$name.pem" ;;
rsa2048) openssl genrsa -out "$name/$name.pem" 2048 2>/dev/null ;;
esac
openssl pkcs8 -topk8 -in "$name/$name.pem" -out "$name/$name.enc.pem" -passout "file:$name/$name.pass"
openssl req -new -config ca.cnf -key "$name/$name.pem" -subj "/C=JP/O=orca/CN=$name" -out "$name/$name.csr"
openssl ca -batch -notext -config ca.cnf -in "$name/$name.csr" -out "$name/$name.crt" 2>/dev/null
openssl pkcs12 -export -inkey "$name/$name.pem" -in "$name/$name.crt" -certfile ca.crt \
    -passout "file:$name/$name.pass" -out "$name/$name.p12"
cp ca.crt "$name/"
