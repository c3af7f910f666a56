#!/usr/bin/env bash
# easyrsa-bundle.bash CA_FOLDER NAME p256|rsa2048 - the delivery of one client with easy-rsa.
set -euo pipefail
cd "$1"
name=$2
export EASYRSA_PKI="$1/pki" EASYRSA_BATCH=1
case $3 in
p256) export EASYRSA_ALGO=ec EASYRSA_CURVE=prime256v1 ;;
rsa2048) export EASYRSA_ALGO=rsa EASYRSA_KEY_SIZE=2048 ;;
esac
openssl rand -hex 8 >"$name.pass"
# From one and the same file openssl would take two lines.
cp "$name.pass" "$name.again"
EASYRSA_PASSOUT=file:$name.pass EASYRSA_PASSIN=file:$name.again
export EASYRSA_PASSOUT EASYRSA_PASSIN
/usr/share/easy-rsa/easyrsa build-client-full "$name" >/dev/null 2>&1
/usr/share/easy-rsa/easyrsa export-p12 "$name" >/dev/null 2>&1
