"""Writes key and certificate into one PKCS#12 file, in the old way that cryptography still knows."""

import json
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

told = json.load(sys.stdin)
key = load_pem_private_key(pathlib.Path(told["key"]).read_bytes(), None)
certificate = x509.load_pem_x509_certificate(pathlib.Path(told["certificate"]).read_bytes())
builder = PrivateFormat.PKCS12.encryption_builder()
builder = builder.kdf_rounds(2048)
builder = builder.key_cert_algorithm(pkcs12.PBES[told["cipher"]])
builder = builder.hmac_hash(getattr(hashes, told["mac"])())
protection = builder.build(told["passphrase"].encode())
octets = pkcs12.serialize_key_and_certificates(b"user1", key, certificate, None, protection)
pathlib.Path(told["to"]).write_bytes(octets)
