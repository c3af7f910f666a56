#!/usr/bin/env bash
# openssl-ca.bash CA_FOLDER COUNT STATUS - an authority of `openssl ca` with COUNT certificates in its
# list, all of them valid (V) or revoked (R), and a request ready to be signed.
set -euo pipefail
mkdir -p "$1"
cd "$1"
cat >ca.cnf <<CONF
[ca]
default_ca = here
[here]
dir = $1
database = $1/index.txt
new_certs_dir = $1
serial = $1/serial
crlnumber = $1/crlnumber
certificate = $1/ca.crt
private_key = $1/ca.key
default_md = sha256
default_days = 3650
default_crl_days = 365
policy = any
x509_extensions = client
unique_subject = no
[any]
countryName = optional
organizationName = optional
commonName = supplied
[client]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth
[req]
distinguished_name = name
prompt = no
[name]
CN = client
CONF
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -config ca.cnf -new -key ca.key -subj "/C=JP/O=orca/CN=orca CA" -days 7300 -out ca.crt
openssl ecparam -name prime256v1 -genkey -noout -out one.key
openssl req -new -config ca.cnf -key one.key -subj "/C=JP/O=orca/CN=one" -out one.csr
awk -v count="$2" -v status="$3" 'BEGIN {
    revoked = status == "R" ? "260101000000Z" : ""
    for (n = 1; n <= count; n++)
        printf "%s\t360101000000Z\t%s\t%08X\tunknown\t/C=JP/O=orca/CN=user%d\n", status, revoked, n + 15, n
}' >index.txt
printf '%08X\n' $(($2 + 1000)) >serial
echo 1000 >crlnumber
